package admin

import (
	"io"
	"net/http"
	"net/http/pprof"

	"github.com/sluicegate/sluice/gateway"
)

// routes returns all that the Admin answers.
func (a *Admin) routes() (http.Handler, error) {
	mux := http.NewServeMux()
	private := func(pattern string, h http.Handler) { mux.Handle(pattern, a.gate.home(a.gate.private(h))) }

	mux.HandleFunc("GET /healthz", health)
	mux.HandleFunc("GET /readyz", a.ready)
	files, err := newPage()
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		mux.Handle("GET "+f.path, a.gate.home(f))
	}
	mux.Handle("GET /login", a.gate.home(http.HandlerFunc(a.gate.state)))
	mux.Handle("POST /login", a.gate.home(http.HandlerFunc(a.gate.login)))
	mux.Handle("POST /logout", a.gate.home(http.HandlerFunc(a.gate.logout)))
	private("GET /live", a.live.mounted)
	if a.cfg.Metrics != nil {
		private("GET /metrics", noStore(a.cfg.Metrics.Handler()))
	}
	for path, h := range map[string]http.HandlerFunc{
		"": pprof.Index, "cmdline": pprof.Cmdline, "profile": pprof.Profile, "symbol": pprof.Symbol, "trace": pprof.Trace,
	} {
		private("GET /debug/pprof/"+path, profile(http.Handler(h)))
	}
	private("POST /debug/pprof/symbol", profile(http.HandlerFunc(pprof.Symbol))) // go tool pprof asks so
	crossOrigin := http.NewCrossOriginProtection()
	crossOrigin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { refuse(w, otherOrigin) }))
	return headers(crossOrigin.Handler(mux)), nil
}

// policy lets the page load its own files and connect to where it is from, and do
// nothing else: should some text ever be taken for markup, it could not run.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// profilePolicy is for the index of net/http/pprof, which has its style within.
const profilePolicy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY") // for browsers that know no frame-ancestors
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

func noStore(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func profile(next http.Handler) http.Handler {
	return noStore(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", profilePolicy)
		next.ServeHTTP(w, r)
	}))
}

// health says that the process serves. Whether it should be sent clients is
// another question.
func health(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok") }

// ready says whether the gateway accepts clients.
func (a *Admin) ready(w http.ResponseWriter, _ *http.Request) {
	status := a.status()
	code := http.StatusServiceUnavailable
	if status == gateway.StatusServing {
		code = http.StatusOK
	}
	plain(w, code, status.String())
}

// plain answers with a line of text that nobody may keep.
func plain(w http.ResponseWriter, code int, line string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, line+"\n") // what fails now fails on the way to the client
}
