package admin

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net"
	"net/http"
	"strconv"
	"time"
)

// sessionTime is how long a cookie is good for.
const sessionTime = 12 * time.Hour

// right reports whether a token is the one. It takes the same time for all that are
// not.
func (g *gate) right(token string) bool {
	got, want := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(g.token))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// A cookie is when it ends, in seconds, and a proof that whoever made it knew the
// token: there is nothing to keep, and another token makes all of them worthless.
const (
	endSize   = 8
	proofSize = sha256.Size
)

func (g *gate) proof(end []byte) []byte {
	h := hmac.New(sha256.New, []byte(g.token))
	h.Write([]byte("sluice/1 admin session"))
	h.Write(end)
	return h.Sum(nil)
}

func (g *gate) cookie(until time.Time) string {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, endSize+proofSize), uint64(until.Unix()))
	return base64.RawURLEncoding.EncodeToString(append(b, g.proof(b)...))
}

// session returns until when the request's cookie is good, if it is.
func (g *gate) session(r *http.Request) (until time.Time, ok bool) {
	c, err := r.Cookie(cookieName(r))
	if err != nil {
		return until, false
	}
	b, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil || len(b) != endSize+proofSize || !hmac.Equal(b[endSize:], g.proof(b[:endSize])) {
		return until, false
	}
	until = time.Unix(int64(binary.BigEndian.Uint64(b)), 0)
	return until, g.now().Before(until)
}

// cookieName has the port in it: browsers keep the cookies of all ports of a host in
// one jar, and an operator may have the ports of several gateways forwarded to this
// computer.
func cookieName(r *http.Request) string {
	const name = "sluice-admin"
	if _, port, err := net.SplitHostPort(r.Host); err == nil {
		if n, err := strconv.ParseUint(port, 10, 16); err == nil {
			return name + "-" + strconv.FormatUint(n, 10)
		}
	}
	return name
}

func setCookie(w http.ResponseWriter, r *http.Request, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: cookieName(r), Value: value, Path: "/", MaxAge: maxAge, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		// A proxy before the host speaks TLS for it. Who lies about it gets a
		// cookie that is sent more seldom.
		Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https",
	})
}

// maxLogin bounds the body of a log-in, in bytes.
const maxLogin = 4 << 10

// login gives a cookie to who knows the token.
func (g *gate) login(w http.ResponseWriter, r *http.Request) {
	if g.token == "" {
		plain(w, http.StatusOK, "there is no token")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxLogin)
	if err := r.ParseForm(); err != nil {
		plain(w, http.StatusBadRequest, "a form with the field token is wanted")
		return
	}
	from := hostOf(r)
	switch ok, limited := g.tries.try(from, func() bool { return g.right(r.PostForm.Get("token")) }); {
	case limited:
		refuse(w, tooMany)
	case !ok:
		if n, ok := g.wrong.Next(); ok {
			g.log.Warn("admin login refused", "remoteAddr", from.String(), "suppressed", n)
		}
		refuse(w, wrongToken)
	default:
		g.log.Info("admin login", "remoteAddr", from.String())
		setCookie(w, r, g.cookie(g.now().Add(sessionTime)), int(sessionTime/time.Second))
		plain(w, http.StatusOK, "welcome")
	}
}

func (g *gate) logout(w http.ResponseWriter, r *http.Request) {
	setCookie(w, r, "", -1)
	plain(w, http.StatusOK, "good-bye")
}

// state tells the page whether it need ask for the token. A browser would tell it
// nothing of a WebSocket that is refused.
func (g *gate) state(w http.ResponseWriter, r *http.Request) {
	_, why := g.known(r)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(struct { // what fails now fails on the way to the client
		SignedIn bool `json:"signedIn"`
		Token    bool `json:"token"`
	}{why == "", g.token != ""})
}

// A visit is what the gate knows of a request that it has let in.
type visit struct {
	until time.Time // the end of its cookie; zero without one
}

type visitKey struct{}

func withVisit(ctx context.Context, v visit) context.Context {
	return context.WithValue(ctx, visitKey{}, v)
}

func visitOf(ctx context.Context) visit {
	v, _ := ctx.Value(visitKey{}).(visit)
	return v
}
