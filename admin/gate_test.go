package admin

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/metrics"
	"github.com/sluicegate/sluice/internal/certs"
)

// ask sends a request to an Admin that does not run, as from a peer.
type ask struct {
	method, path, host, peer string
	header                   map[string]string
	body                     string
}

func (q ask) of(h http.Handler) *http.Response {
	r := httptest.NewRequest(or(q.method, "GET"), q.path, strings.NewReader(q.body))
	r.Host, r.RemoteAddr = or(q.host, "127.0.0.1:6064"), or(q.peer, "127.0.0.1:5000")
	if q.method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for k, v := range q.header {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func or(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

func bearer(token string) map[string]string {
	return map[string]string{"Authorization": "Bearer " + token}
}

func mounted(t *testing.T, cfg Config) *Admin {
	t.Helper()
	a, err := New(cfg)
	must(t, err)
	return a
}

// local is an Admin as Listen makes it, which is not run.
func local(t *testing.T, cfg Config) *Admin {
	t.Helper()
	cfg.Addr = "127.0.0.1:0"
	a, err := Listen(cfg)
	must(t, err)
	t.Cleanup(func() { _ = a.Discard() })
	return a
}

func TestConfig(t *testing.T) {
	for name, c := range map[string]struct {
		cfg     Config
		mounted bool
		want    string
	}{
		"no address":              {Config{}, false, "Config.Addr is empty"},
		"short token":             {Config{Token: "too short", Addr: "127.0.0.1:0"}, false, "at least 16"},
		"actions without a token": {Config{Actions: true, Addr: "127.0.0.1:0"}, false, "needs a Token"},
		"actions for anyone":      {Config{Actions: true, InsecureAllowAnyone: true}, true, "needs a Token"},
		"mounted without a token": {Config{}, true, "InsecureAllowAnyone if your middleware"},
		"both":                    {Config{Token: token, InsecureAllowAnyone: true}, true, "would mean nothing"},
		"beyond loopback":         {Config{Addr: "0.0.0.0:0"}, false, "reached from other computers"},
		"TLS without certificate": {Config{Addr: "127.0.0.1:0", TLS: &tls.Config{}}, false, "set its Certificates"},
		"no such address":         {Config{Addr: "127.0.0.1:notaport"}, false, "admin: "},
	} {
		t.Run(name, func(t *testing.T) {
			f := Listen
			if c.mounted {
				f = New
			}
			a, err := f(c.cfg)
			if err == nil {
				_ = a.Discard()
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "admin: ") {
				t.Errorf("%v: want something about %q", err, c.want)
			}
		})
	}
	for _, cfg := range []Config{
		{Addr: ":0"}, {Addr: "localhost:0"}, {Addr: "0.0.0.0:0", Token: token}, {Addr: "0.0.0.0:0", InsecureAllowAnyone: true},
	} {
		cfg.Logger = (&book{}).logger()
		a, err := Listen(cfg)
		must(t, err)
		if cfg.Addr == ":0" && !isLoopback(a.Addr()) {
			t.Errorf("without a host it is on %v", a.Addr())
		}
		must(t, a.Discard())
	}
	if a := mounted(t, Config{Token: token}); a.Addr() != nil || a.Discard() != nil {
		t.Error("a mounted one has a listener")
	}
}

// protected are the paths that say something about the gateway.
func protected() []string {
	return []string{"/metrics", "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/cmdline", "/live"}
}

func public() []string {
	return []string{"/healthz", "/readyz", "/", "/admin.css", "/icon.svg", "/js/main.js", "/login"}
}

func TestToken(t *testing.T) {
	a := mounted(t, Config{Token: token, Metrics: metrics.New(metrics.Config{})})
	for _, path := range protected() {
		for name, h := range map[string]map[string]string{
			"none": nil, "wrong": bearer("another token, as long"), "beginning": bearer(token[:16]), "empty": bearer(""),
			"no bearer": {"Authorization": "Basic " + token}, "cookie of nonsense": {"Cookie": "sluice-admin-6064=abc"},
		} {
			a.gate.tries = newTries(time.Now)
			r := ask{path: path, header: h}.of(a)
			if got := body(t, r); r.StatusCode != 401 || got != signIn+"\n" || r.Header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s, %s: %d %q", path, name, r.StatusCode, got)
			}
		}
		if r := (ask{path: path, header: bearer(token)}).of(a); r.StatusCode == 401 || r.StatusCode == 403 || r.StatusCode == 404 {
			t.Errorf("%s with the token: %d", path, r.StatusCode)
		}
		if r := (ask{path: path, header: bearer(token), peer: "192.0.2.7:1", host: "gw.example"}).of(a); r.StatusCode == 401 || r.StatusCode == 403 {
			t.Errorf("%s from elsewhere: %d", path, r.StatusCode)
		}
	}
	for _, path := range public() {
		if r := (ask{path: path}).of(a); r.StatusCode == 401 || r.StatusCode == 404 {
			t.Errorf("%s: %d", path, r.StatusCode)
		}
	}
	if r := (ask{path: "/live", header: bearer(token)}).of(a); r.StatusCode != 503 {
		t.Errorf("live before Run: %d", r.StatusCode)
	}
	if r := (ask{path: "/nothing", header: bearer(token)}).of(a); r.StatusCode != 404 {
		t.Errorf("a path that is not there: %d", r.StatusCode)
	}
}

func TestWithoutMetricsThereIsNoPath(t *testing.T) {
	if r := (ask{path: "/metrics", header: bearer(token)}).of(mounted(t, Config{Token: token})); r.StatusCode != 404 {
		t.Error(r.StatusCode)
	}
}

// Without a token, only this computer is answered, under a name that nobody can take.
func TestAtHome(t *testing.T) {
	a := local(t, Config{Metrics: metrics.New(metrics.Config{})})
	for _, path := range append(protected(), public()[2:]...) {
		for _, c := range []struct {
			host, peer string
			want       bool
		}{
			{"127.0.0.1:6064", "127.0.0.1:5000", true},
			{"127.0.0.1", "127.0.0.1:5000", true},
			{"127.1.2.3:6064", "127.0.0.1:5000", true},
			{"localhost:6064", "127.0.0.1:5000", true},
			{"LocalHost", "127.0.0.1:5000", true},
			{"[::1]:6064", "[::1]:5000", true},
			{"[::1]", "[::ffff:127.0.0.1]:5000", true},
			{"evil.example:6064", "127.0.0.1:5000", false},
			{"localhost.evil.example", "127.0.0.1:5000", false},
			{"127.0.0.1.evil.example", "127.0.0.1:5000", false},
			{"192.0.2.1:6064", "127.0.0.1:5000", false},
			{"", "127.0.0.1:5000", false},
			{"127.0.0.1:6064", "192.0.2.7:5000", false},
			{"localhost", "[2001:db8::1]:5000", false},
			{"localhost", "not an address", false},
		} {
			q := ask{path: path, peer: c.peer, host: c.host}
			if c.host == "" {
				q.host = " "
			}
			if r := q.of(a); (r.StatusCode != 403) != c.want {
				t.Errorf("%s by %q from %s: %d", path, c.host, c.peer, r.StatusCode)
			}
		}
	}
	for _, path := range public()[:2] { // health tells nothing, and probes have names of their own
		if r := (ask{path: path, host: "pod.example"}).of(a); r.StatusCode == 403 {
			t.Errorf("%s: %d", path, r.StatusCode)
		}
	}
	anyone := mounted(t, Config{InsecureAllowAnyone: true})
	if r := (ask{path: "/debug/pprof/", host: "gw.example", peer: "192.0.2.7:1"}).of(anyone); r.StatusCode != 200 {
		t.Errorf("for anyone: %d", r.StatusCode)
	}
}

// Pages of other origins get nothing, cookie or not, and start no profile.
func TestOtherOrigins(t *testing.T) {
	a := mounted(t, Config{Token: token})
	h := local(t, Config{})
	for _, site := range []string{"cross-site", "same-site", "something new"} {
		head := bearer(token)
		head["Sec-Fetch-Site"] = site
		for _, b := range []*Admin{a, h} {
			for _, path := range []string{"/debug/pprof/", "/live"} {
				if r := (ask{path: path, header: head}).of(b); r.StatusCode != 403 {
					t.Errorf("%s, %s: %d", path, site, r.StatusCode)
				}
			}
		}
		for _, path := range []string{"/login", "/logout"} {
			r := ask{method: "POST", path: path, header: map[string]string{"Sec-Fetch-Site": site}, body: "token=" + url.QueryEscape(token)}.of(a)
			if r.StatusCode != 403 || r.Header.Get("Set-Cookie") != "" {
				t.Errorf("%s, %s: %d", path, site, r.StatusCode)
			}
		}
	}
	old := map[string]string{"Origin": "https://evil.example"} // a browser without Sec-Fetch-Site
	if r := (ask{method: "POST", path: "/login", header: old, body: "token=" + url.QueryEscape(token)}).of(a); r.StatusCode != 403 {
		t.Errorf("login by Origin: %d", r.StatusCode)
	}
}

func signedIn(t *testing.T, a *Admin, q ask) *http.Cookie {
	t.Helper()
	q.method, q.path, q.body = "POST", "/login", "token="+url.QueryEscape(token)
	r := q.of(a)
	if r.StatusCode != 200 || len(r.Cookies()) != 1 {
		t.Fatalf("login: %d %v", r.StatusCode, r.Cookies())
	}
	return r.Cookies()[0]
}

func TestSession(t *testing.T) {
	book := &book{}
	a := mounted(t, Config{Token: token, Logger: book.logger()})
	now := time.Unix(1_700_000_000, 0)
	a.gate.now = func() time.Time { return now }
	c := signedIn(t, a, ask{})
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Secure || c.Path != "/" || c.MaxAge != 12*3600 || c.Name != "sluice-admin-6064" {
		t.Errorf("%+v", c)
	}
	try := func(name, value string) int {
		return ask{path: "/debug/pprof/", header: map[string]string{"Cookie": name + "=" + value}}.of(a).StatusCode
	}
	if got := try(c.Name, c.Value); got != 200 {
		t.Errorf("with the cookie: %d", got)
	}
	for i := range c.Value { // a bit of any character is a bit of the end or of the proof
		changed := []byte(c.Value)
		if changed[i] == 'A' {
			changed[i] = 'Q'
		} else {
			changed[i] = 'A'
		}
		if string(changed) != c.Value && try(c.Name, string(changed)) != 401 {
			t.Errorf("changed at %d it is good", i)
		}
	}
	if got := try("sluice-admin-6065", c.Value); got != 401 {
		t.Errorf("of another port: %d", got)
	}
	b := mounted(t, Config{Token: "another token of the tests"})
	b.gate.now = a.gate.now
	if r := (ask{path: "/debug/pprof/", header: map[string]string{"Cookie": c.Name + "=" + c.Value}}).of(b); r.StatusCode != 401 {
		t.Errorf("of another token: %d", r.StatusCode)
	}
	state := func() string {
		return body(t, ask{path: "/login", header: map[string]string{"Cookie": c.Name + "=" + c.Value}}.of(a))
	}
	if got := state(); got != `{"signedIn":true,"token":true}`+"\n" {
		t.Error(got)
	}
	now = now.Add(sessionTime - time.Second)
	if got := try(c.Name, c.Value); got != 200 {
		t.Errorf("near its end: %d", got)
	}
	now = now.Add(time.Second)
	if got := try(c.Name, c.Value); got != 401 {
		t.Errorf("at its end: %d", got)
	}
	if got := state(); got != `{"signedIn":false,"token":true}`+"\n" {
		t.Error(got)
	}
	if c := signedIn(t, a, ask{header: map[string]string{"X-Forwarded-Proto": "https"}}); !c.Secure {
		t.Error("behind TLS the cookie is not Secure")
	}
	if c := signedIn(t, a, ask{host: "gw.example"}); c.Name != "sluice-admin" {
		t.Error(c.Name)
	}
	out := ask{method: "POST", path: "/logout"}.of(a)
	if c := out.Cookies()[0]; out.StatusCode != 200 || c.MaxAge >= 0 || c.Value != "" {
		t.Errorf("logout: %d %+v", out.StatusCode, c)
	}
	if log := book.String(); !strings.Contains(log, "admin login") || strings.Contains(log, token) {
		t.Error(log)
	}
}

// Wrong tokens are answered alike, slowed down by address, and hold up nobody else.
func TestTries(t *testing.T) {
	book := &book{}
	a := mounted(t, Config{Token: token, Logger: book.logger()})
	now := time.Unix(1_700_000_000, 0)
	a.gate.now = func() time.Time { return now }
	login := func(peer, token string) (int, string) {
		r := ask{method: "POST", path: "/login", peer: peer, body: "token=" + url.QueryEscape(token)}.of(a)
		return r.StatusCode, body(t, r)
	}
	for i := range wrongBurst {
		if code, text := login("192.0.2.1:1", fmt.Sprint("wrong ", i)); code != 401 || text != wrongToken+"\n" {
			t.Errorf("%d: %d %q", i, code, text)
		}
	}
	if code, text := login("192.0.2.1:2", "wrong"); code != 429 || text != tooMany+"\n" {
		t.Errorf("too many: %d %q", code, text)
	}
	if code, _ := login("192.0.2.1:2", token); code != 429 {
		t.Errorf("the right one is told apart: %d", code)
	}
	if r := (ask{path: "/debug/pprof/", peer: "192.0.2.1:2", header: bearer(token)}).of(a); r.StatusCode != 429 {
		t.Errorf("and by bearer: %d", r.StatusCode)
	}
	if code, _ := login("192.0.2.2:1", token); code != 200 {
		t.Errorf("from another address: %d", code)
	}
	now = now.Add(wrongEvery)
	if code, _ := login("192.0.2.1:3", token); code != 200 {
		t.Errorf("later: %d", code)
	}
	for range wrongBurst {
		ask{path: "/debug/pprof/", peer: "[2001:db8::1]:1", header: bearer("wrong")}.of(a)
	}
	if code, _ := login("[2001:db8::2]:1", token); code != 429 {
		t.Errorf("from the same network: %d", code)
	}
	for range 100 { // the right one costs nothing, or a scraper would lock itself out
		if r := (ask{path: "/debug/pprof/", peer: "192.0.2.9:1", header: bearer(token)}).of(a); r.StatusCode != 200 {
			t.Fatal(r.StatusCode)
		}
	}
	if n := strings.Count(book.String(), "admin login refused"); n == 0 || n > wrongBurst {
		t.Errorf("logged %d times", n)
	}
	if r := (ask{method: "POST", path: "/login", body: "token=" + strings.Repeat("x", maxLogin)}).of(a); r.StatusCode != 400 {
		t.Errorf("a large body: %d", r.StatusCode)
	}
}

// However many addresses there are, what is kept of them is bounded, and so are the
// tries of those that are not told apart.
func TestTriesOfMany(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	tr := newTries(func() time.Time { return now })
	wrong := func() bool { return false }
	tried := 0
	for i := range 3 * maxAddresses {
		from := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		if _, limited := tr.try(from, wrong); !limited {
			tried++
		}
	}
	if len(tr.from) > maxAddresses || tried > maxAddresses+wrongBurst {
		t.Errorf("%d kept, %d tried", len(tr.from), tried)
	}
	now = now.Add(wrongEvery)
	if ok, limited := tr.try(netip.MustParseAddr("192.0.2.1"), func() bool { return true }); !ok || limited {
		t.Error("when they are quiet, others do not get in")
	}
}

func TestHeaders(t *testing.T) {
	a := mounted(t, Config{Token: token, Metrics: metrics.New(metrics.Config{})})
	for _, path := range append(protected(), append(public(), "/nothing")...) {
		r := ask{path: path, header: bearer(token)}.of(a)
		csp := r.Header.Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") != strings.Contains(path, "pprof") {
			t.Errorf("%s: %q", path, csp)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY"} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		cache := r.Header.Get("Cache-Control")
		switch tag := r.Header.Get("ETag"); {
		case path == "/nothing", path == "/live":
		case tag == "":
			if cache != "no-store" {
				t.Errorf("%s: Cache-Control is %q", path, cache)
			}
		default:
			again := ask{path: path, header: map[string]string{"If-None-Match": tag}}.of(a)
			if cache != "no-cache" || again.StatusCode != 304 {
				t.Errorf("%s: Cache-Control is %q, and again it is %d", path, cache, again.StatusCode)
			}
		}
	}
}

func TestHealth(t *testing.T) {
	open, held := make(chan struct{}), make(chan struct{})
	s := &site{t: t, log: &book{}}
	var err error
	s.adm, err = Listen(Config{Addr: "127.0.0.1:0", Logger: s.log.logger()})
	must(t, err)
	s.url = "http://" + s.adm.Addr().String()
	check := func(ready int, status string) {
		t.Helper()
		for path, want := range map[string]int{"/healthz": 200, "/readyz": ready} {
			r := ask{path: path}.of(s.adm)
			text := body(t, r)
			if r.StatusCode != want || r.Header.Get("Content-Type") != "text/plain; charset=utf-8" || path == "/readyz" && text != status+"\n" {
				t.Errorf("%s: %d %q", path, r.StatusCode, text)
			}
		}
	}
	check(503, "new")
	s.run(func(g *gateway.Config) {
		g.StopTimeout = wait
		g.Router = hooks.RouterFuncs{OnOpen: func(context.Context, hooks.Bus, hooks.OpenEvent) {
			close(open)
			<-held
		}}
	})
	c := httpClient(t)
	r, err := c.Get(s.url + "/readyz") // is answered when Run was called
	must(t, err)
	if got := body(t, r); got != "serving\n" {
		t.Error(got)
	}
	check(200, "serving")

	// A drain that waits for a client's handler is seen to its end.
	m := s.dial("")
	within(t, open, "the client's handler")
	ended := make(chan error, 1)
	go func() { ended <- s.gw.Drain(context.Background()) }()
	if code := m.closed(); code != 1012 {
		t.Errorf("closed with %d", code)
	}
	check(503, "draining")
	r, err = c.Get(s.url + "/readyz")
	must(t, err)
	if got := body(t, r); got != "draining\n" || r.StatusCode != 503 {
		t.Error(got)
	}
	c.CloseIdleConnections()
	close(held)
	must(t, within(t, ended, "the drain"))
	must(t, s.stop())
	check(503, "stopped")
	if _, err := net.DialTimeout("tcp", s.adm.Addr().String(), wait); err == nil {
		t.Error("the listener is open at the end")
	}
}

func TestTLS(t *testing.T) {
	authority := certs.New(t)
	s := start(t, Config{Token: token, TLS: &tls.Config{Certificates: []tls.Certificate{authority.Certificate()}}})
	conn, err := tls.Dial("tcp", s.adm.Addr().String(), &tls.Config{RootCAs: authority.Pool})
	must(t, err)
	defer conn.Close()
	form := "token=" + url.QueryEscape(token)
	fmt.Fprintf(conn, "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(form), form)
	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(t, err)
	defer r.Body.Close()
	if cs := r.Cookies(); r.StatusCode != 200 || len(cs) != 1 || !cs[0].Secure {
		t.Errorf("%d %v", r.StatusCode, cs)
	}
}

func TestRunIsForAGateway(t *testing.T) {
	a := local(t, Config{})
	if err := a.Run(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "no *gateway.Gateway") {
		t.Error(err)
	}
	if err := a.Run(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "called before") {
		t.Error(err)
	}
	if _, err := net.DialTimeout("tcp", a.Addr().String(), wait); err == nil {
		t.Error("the listener is open")
	}
}
