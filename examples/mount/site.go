package main

import (
	"context"
	"crypto/rand"
	"embed"
	"html/template"
	"io/fs"
	"net/http"
	"sync"
	"unicode/utf8"
)

//go:embed page
var files embed.FS

// site is the part of the program that has nothing to do with WebSocket: a page,
// a form and the cookie that comes of it.
type site struct {
	secure bool
	page   *template.Template

	mu    sync.Mutex
	users map[string]string // by cookie
	order []string          // of cookies, the oldest first
}

// maxUsers bounds who is logged in; the longest logged in make room.
const maxUsers = 10_000

const cookieName = "session"

// newSite returns the whole site, with live at /ws for those who are logged in.
func newSite(live http.Handler, secure bool) http.Handler {
	s := &site{
		secure: secure,
		page:   template.Must(template.ParseFS(files, "page/*.html")),
		users:  make(map[string]string),
	}
	assets, err := fs.Sub(files, "page")
	if err != nil {
		panic(err) // the directory is embedded, so there is one
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.index)
	mux.HandleFunc("POST /login", s.login)
	mux.HandleFunc("POST /logout", s.logout)
	mux.Handle("GET /assets/", http.StripPrefix("/assets/", http.FileServerFS(assets)))
	mux.Handle("GET /ws", usersOnly(live))
	return s.withUser(mux)
}

// userKey is the key of the user's name in a request's context.
type userKey struct{}

func userOf(ctx context.Context) string {
	name, _ := ctx.Value(userKey{}).(string)
	return name
}

// withUser is middleware: it knows the user by the cookie.
func (s *site) withUser(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if c, err := r.Cookie(cookieName); err == nil {
			s.mu.Lock()
			name := s.users[c.Value]
			s.mu.Unlock()
			r = r.WithContext(context.WithValue(r.Context(), userKey{}, name))
		}
		next.ServeHTTP(w, r)
	})
}

// usersOnly is middleware: it turns strangers away.
func usersOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if userOf(r.Context()) == "" {
			http.Error(w, "log in first", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *site) index(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	name := "login.html"
	if userOf(r.Context()) != "" {
		name = "live.html"
	}
	// What fails now fails on the way to the client.
	_ = s.page.ExecuteTemplate(w, name, userOf(r.Context()))
}

func (s *site) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 1<<10)
	name := r.FormValue("name")
	if n := utf8.RuneCountInString(name); n == 0 || n > 20 || !utf8.ValidString(name) {
		http.Error(w, "a name has 1 to 20 characters", http.StatusBadRequest)
		return
	}
	cookie := rand.Text()
	s.mu.Lock()
	if len(s.order) == maxUsers {
		delete(s.users, s.order[0])
		s.order = append(s.order[:0], s.order[1:]...)
	}
	s.users[cookie] = name
	s.order = append(s.order, cookie)
	s.mu.Unlock()
	s.setCookie(w, cookie, 0)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (s *site) logout(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(cookieName); err == nil {
		s.mu.Lock()
		delete(s.users, c.Value)
		s.mu.Unlock()
	}
	s.setCookie(w, "", -1)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (s *site) setCookie(w http.ResponseWriter, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: s.secure, SameSite: http.SameSiteLaxMode,
	})
}
