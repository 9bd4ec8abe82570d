package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/gorilla/websocket"

	"github.com/sluicegate/sluice/internal/browser"
)

// wait bounds what a test awaits: it is reached only if a promise is broken.
const wait = 20 * time.Second

// start runs the program and returns the address that it prints.
func start(t *testing.T, args ...string) (url string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, append([]string{"-http", "127.0.0.1:0"}, args...), w)
		_ = w.CloseWithError(io.EOF)
		ended <- err
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("run: %v", err)
			}
		case <-time.After(wait):
			t.Error("run does not return")
		}
	})
	line := make([]byte, 100)
	n, err := r.Read(line)
	if err != nil {
		t.Fatalf("nothing was printed: %v", err)
	}
	return strings.TrimPrefix(strings.TrimSpace(string(line[:n])), "open ")
}

// user is somebody with a cookie jar.
type user struct {
	*http.Client
	t   *testing.T
	url string
}

func newUser(t *testing.T, url string) *user {
	jar, _ := cookiejar.New(nil) // never fails without options
	return &user{t: t, url: url, Client: &http.Client{
		Jar: jar, Timeout: wait,
		Transport: &http.Transport{TLSClientConfig: insecure(), DisableKeepAlives: true},
	}}
}

// insecure accepts the certificate that the program has made for itself.
func insecure() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }

func (u *user) post(path string, form url.Values) (status int, page string) {
	u.t.Helper()
	resp, err := u.PostForm(u.url+path, form)
	if err != nil {
		u.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

func (u *user) dial() (*websocket.Conn, *http.Response, error) {
	d := websocket.Dialer{Jar: u.Jar, TLSClientConfig: insecure(), HandshakeTimeout: wait}
	c, resp, err := d.Dial(strings.Replace(u.url, "http", "ws", 1)+"/ws", nil)
	if err == nil {
		_ = c.SetReadDeadline(time.Now().Add(wait))
		u.t.Cleanup(func() { _ = c.Close() })
	}
	return c, resp, err
}

func (u *user) live(name string) *websocket.Conn {
	u.t.Helper()
	if status, page := u.post("/login", url.Values{"name": {name}}); status != 200 || !strings.Contains(page, `id="say"`) {
		u.t.Fatalf("log in: %d %s", status, page)
	}
	c, resp, err := u.dial()
	if err != nil {
		u.t.Fatalf("connect: %v %v", err, resp)
	}
	return c
}

func TestLoginAndTalk(t *testing.T) {
	for _, args := range [][]string{nil, {"-tls"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			url := start(t, args...)
			if want := len(args) == 1; strings.HasPrefix(url, "https://") != want {
				t.Fatalf("it serves %s", url)
			}
			ann, bob, stranger := newUser(t, url), newUser(t, url), newUser(t, url)
			if _, resp, err := stranger.dial(); err == nil || resp == nil || resp.StatusCode != http.StatusUnauthorized {
				t.Errorf("without a cookie: %v %v, want 401", resp, err)
			}
			a, b := ann.live("Ann"), bob.live("<Bob>")
			if err := b.WriteMessage(websocket.TextMessage, []byte("  hello  ")); err != nil {
				t.Fatal(err)
			}
			for _, c := range []*websocket.Conn{a, b} {
				if _, got, err := c.ReadMessage(); err != nil || string(got) != `{"from":"\u003cBob\u003e","text":"hello"}` {
					t.Errorf("got %s, %v", got, err)
				}
			}
		})
	}
}

func TestSite(t *testing.T) {
	u := newUser(t, start(t))
	for _, name := range []string{"", strings.Repeat("x", 21), "\xff", strings.Repeat("x", 1<<11)} {
		if status, _ := u.post("/login", url.Values{"name": {name}}); status != http.StatusBadRequest {
			t.Errorf("name %.30q: %d, want 400", name, status)
		}
	}
	u.live("Ann")
	if status, page := u.post("/logout", nil); status != 200 || !strings.Contains(page, `action="/login"`) {
		t.Errorf("log out: %d %s", status, page)
	}
	if _, resp, err := u.dial(); err == nil || resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("after logging out: %v, want 401", err)
	}
}

// A page of another origin has the user's cookie, but not the right to use it.
func TestOtherOrigin(t *testing.T) {
	u := newUser(t, start(t))
	u.live("Ann")
	d := websocket.Dialer{Jar: u.Jar}
	_, resp, err := d.Dial(strings.Replace(u.url, "http", "ws", 1)+"/ws", http.Header{"Origin": {"https://evil.example"}})
	if err == nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("%v, want 403", err)
	}
}

// Those who are connected when the program ends are told.
func TestStop(t *testing.T) {
	for _, args := range [][]string{nil, {"-tls"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			r, w := io.Pipe()
			ended := make(chan error, 1)
			go func() { ended <- run(ctx, append([]string{"-http", "127.0.0.1:0"}, args...), w) }()
			line := make([]byte, 100)
			n, err := r.Read(line)
			if err != nil {
				t.Fatal(err)
			}
			c := newUser(t, strings.TrimPrefix(strings.TrimSpace(string(line[:n])), "open ")).live("Ann")
			cancel()
			_, _, err = c.ReadMessage()
			if ce := (*websocket.CloseError)(nil); !errors.As(err, &ce) || ce.Code != websocket.CloseServiceRestart {
				t.Errorf("the client heard %v, want close 1012", err)
			}
			if err := <-ended; err != nil {
				t.Errorf("run: %v", err)
			}
		})
	}
}

func TestRunRefuses(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for _, args := range [][]string{{"-nonsense"}, {"-http", ln.Addr().String()}} {
		if err := run(t.Context(), args, io.Discard); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}

// Two people in browsers, over wss.
func TestBrowser(t *testing.T) {
	url := start(t, "-tls")
	b := browser.Start(t, "ignore-certificate-errors")
	say := func(ctx context.Context, selector, text string) {
		t.Helper()
		if err := chromedp.Do(ctx, chromedp.SendKeys(chromedp.CSS(selector), text+"\r")); err != nil {
			t.Fatalf("typing %q: %v", text, err)
		}
	}
	await := func(ctx context.Context, condition string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		js := `new Promise((done) => {
			const log = () => [...document.querySelectorAll('#log li')].map((e) => e.textContent).join('|');
			const holds = () => (` + condition + `) && (watch.disconnect(), done(true), true);
			const watch = new MutationObserver(holds);
			if (!holds()) watch.observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
		})`
		if err := chromedp.Do(ctx, chromedp.Evaluate[chromedp.Void](js, chromedp.EvalAwaitPromise)); err != nil {
			t.Fatalf("waiting for %s: %v", condition, err)
		}
	}
	enter := func(name string) context.Context {
		t.Helper()
		ctx, cancel := chromedp.NewContext(b, chromedp.WithNewBrowserContext(), chromedp.WithNewWindow(true))
		t.Cleanup(cancel)
		if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
			t.Fatalf("opening %s: %v", url, err)
		}
		say(ctx, "#name", name)
		visible, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		if err := chromedp.Do(visible, chromedp.WaitVisible(chromedp.CSS("[data-link=open] #text"))); err != nil {
			t.Fatalf("%s is not connected: %v", name, err)
		}
		return ctx
	}
	ann, bob := enter("Ann"), enter("Bob <b>")
	await(ann, `document.getElementById('link').textContent === 'connected, encrypted'`)
	say(ann, "#text", "hello there")
	for _, w := range []context.Context{ann, bob} {
		await(w, `log() === 'Ann hello there'`)
	}
	say(bob, "#text", "<i>hi</i>")
	for _, w := range []context.Context{ann, bob} {
		await(w, `log() === 'Ann hello there|Bob <b> <i>hi</i>'`)
	}
}
