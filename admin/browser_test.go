package admin

import (
	"context"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/gorilla/websocket"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/metrics"
	"github.com/sluicegate/sluice/internal/browser"
)

// hostile is what a client or a host may call a topic, a customer or a session.
const hostile = `<img src=x onerror="document.title='owned'">`

func (w tab) live() {
	w.t.Helper()
	w.await("it is live", `document.body.dataset.link === 'live' && seen($('#main')) && !seen($('#gate'))`)
}

// fits fails the test if the page is wider than the window.
func (w tab) fits() {
	w.t.Helper()
	if got := value[[]int](w, `[document.documentElement.scrollWidth, innerWidth]`); got[0] > got[1] {
		w.t.Errorf("the page is %d wide, in a window of %d: %s", got[0], got[1],
			value[string](w, `[...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 80)).slice(0, 5).join('\n')`))
	}
}

// TestOperator is a night on duty.
func TestOperator(t *testing.T) {
	m := metrics.New(metrics.Config{})
	s := start(t, Config{Token: token, Actions: true, Name: "edge-1", Metrics: m}, func(g *gateway.Config) { g.Hooks = append(g.Hooks, m) })
	w := look(browser.Start(t), t, s.url)

	// Signing in, by keyboard alone.
	w.await("it asks for the token", `seen($('#gate')) && document.activeElement.id === 'token' && text('#link-text') === 'Signed out'`)
	w.press("not the token, but long\r")
	w.await("it is told that it is wrong", `text('#sign-in-error') === 'Wrong token.' && document.body.dataset.link === 'signed-out'`)
	w.press(token + "\r") // what was typed is selected
	w.live()
	w.await("the gateway has a name", `text('#name') === 'edge-1' && tile('Clients') === '0'`)
	w.await("empty states", `text('#left-tables').includes('No client has subscribed to a topic.')
		&& text('#right-tables').includes('there are no processes') && text('#plots').includes('Nobody was refused')`)

	// Numbers that move.
	a := s.join(url.Values{"topic": {"news", hostile}, "customer": {hostile}, "session": {hostile}})
	b := s.join(url.Values{"topic": {"news"}, "customer": {"bob"}})
	w.await("two clients", `tile('Clients') === '2' && document.title.startsWith('2 clients')`)
	for range 200 {
		must(t, b.conn.WriteMessage(websocket.TextMessage, []byte("hello")))
	}
	w.await("messages are plotted", `$$('.plot')[1].querySelector('.key').textContent.match(/in[1-9]/)`)
	w.await("and gone by", `tile('Messages in') === '0/s'`)
	if n := value[int](w, `(() => {
		const c = document.querySelectorAll('.plot canvas')[1];
		const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
		let n = 0;
		for (let i = 0; i < d.length; i += 4) if (d[i + 3] > 200 && Math.abs(d[i] - d[i + 2]) > 60) n++;
		return n;
	})()`); n < 50 {
		t.Errorf("%d pixels of lines are drawn", n)
	}

	// Text that would like to be markup, wherever it can get.
	w.await("topics are text", `$$('#left-tables tbody button').some((b) => b.textContent === `+quoted(hostile)+`)`)
	w.do("choosing an id", chromedp.Evaluate[chromedp.Void](`document.getElementById('find-by').value = 'customerId'`))
	w.typeIn("#find-id", hostile+"\r")
	w.await("it is found", `text('#find-status') === '1 client found.' && $$('#found dd').filter((d) => d.textContent.includes(`+quoted(hostile)+`)).length === 3
		&& text('#found').includes(`+quoted(a.uniqID)+`)`)
	w.await("markup is text", `!document.querySelector('main img') && document.title !== 'owned'`)

	// A message to it, and to a topic.
	w.typeIn("#found input", "just you\r")
	w.await("it is sent", `text('#found .status') === 'Sent to 1 client.' && $('#found input').value === ''`)
	if got := a.read(); got != "just you" {
		t.Errorf("the client got %q", got)
	}
	w.click(`#left-tables tbody tr:first-child button`)
	w.await("the topic is chosen", `$('#publish-topic').value === 'news' && document.activeElement.id === 'publish-text'`)
	w.press("to all\t")
	w.await("the button has the focus", `document.activeElement.textContent === 'Publish'`)
	w.press("\r")
	w.await("it is published", `text('#publish-status') === 'Sent to 2 clients.'`)
	if got := a.read(); got != "to all" {
		t.Errorf("the client got %q", got)
	}

	// A kick asks first, and Escape is a no.
	w.do("reaching for it", chromedp.Evaluate[chromedp.Void](`document.querySelector('.kick').focus()`))
	w.press("\r")
	w.await("it is asked", `$('#confirm').open && text('#confirm-who') === `+quoted(a.uniqID)+` && document.activeElement.id === 'confirm-no'`)
	w.press("\x1b")
	w.await("nothing is done", `!$('#confirm').open && document.activeElement.classList.contains('kick') && text('#found .status') !== 'It was put offline.'`)
	w.press("\r")
	w.await("it is asked again", `$('#confirm').open && document.activeElement.id === 'confirm-no'`)
	w.press("\t")
	w.await("the other button has the focus", `document.activeElement.id === 'confirm-yes'`)
	w.press("\r")
	w.await("it is done", `!$('#confirm').open && text('#found .status') === 'It was put offline.'`)
	if code := a.closed(); code != 1008 {
		t.Errorf("the client is closed with %d", code)
	}
	w.await("one client is left, and the end is plotted", `tile('Clients') === '1' && text('#plots').includes('1008 forceOffline')`)

	// On a phone nothing sticks out, though ids and sessions are long.
	long := s.join(url.Values{"customer": {strings.Repeat("w", 200)}, "session": {strings.Repeat("w", 900)}, "topic": {strings.Repeat("w", 300)}})
	w.do("becoming a phone", chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile))
	w.do("by uniqId", chromedp.Evaluate[chromedp.Void](`document.getElementById('find-by').value = 'uniqId'; document.getElementById('find-id').value = ''`))
	w.typeIn("#find-id", long.uniqID+"\r")
	w.await("it is found", `text('#found').includes(`+quoted(long.uniqID)+`) && $$('#left-tables tbody tr').length === 2`)
	w.fits()
	w.do("becoming a desk again", chromedp.EmulateViewport(1200, 800))
	w.fits()

	// Numbers that a person can read.
	w.do("reading numbers", chromedp.Evaluate[chromedp.Void](`(async () => {
		const { short, tick, ago } = await import('./js/format.js');
		const { steps } = await import('./js/plot.js');
		for (const [got, want] of [
			[short(0, 'count'), '0'], [short(0.25, 'count'), '0.25'], [short(99.96, 'count'), '100'], [short(12345, 'count'), '12,345'],
			[short(123456, 'count'), '123 k'], [short(999950, 'count'), '1 M'], [short(2.5e9, 'count'), '2.5 G'], [short(null, 'count'), '–'],
			[short(999, 'bytes'), '999 B'], [short(1500, 'bytes'), '1.5 kB'], [short(3.1e12, 'bytes'), '3.1 TB'], [short(2 ** 30, 'memory'), '1 GiB'],
			[short(42.3e-6, 'time'), '42.3 µs'], [short(0.5, 'time'), '500 ms'], [short(1.5, 'time'), '1.5 s'], [short(0, 'time'), '0'],
			[tick(50000, 'count'), '50 k'], [tick(5000, 'count'), '5,000'],
			[ago(0, 45e3), '45 s'], [ago(0, 600e3), '10 min'], [ago(0, 7.2e6), '2 h'], [ago(0, 3e8), '3 d'],
			['' + steps(0, true), '0,1,2,3,4'], ['' + steps(3, true), '0,1,2,3'], ['' + steps(41, true), '0,20,40,60'],
			['' + steps(7.3e-5, false), '0,0.00002,0.00004,0.00006,0.00008'], ['' + steps(2.6e6, true), '0,1000000,2000000,3000000'],
		]) if (got !== want) throw new Error(got + ' is not ' + want);
	})()`, chromedp.EvalAwaitPromise))

	// The page is of one piece: nothing comes from elsewhere.
	if got := value[[]string](w, `performance.getEntriesByType('resource').map((r) => new URL(r.name).origin).filter((o) => o !== location.origin)`); len(got) != 0 {
		t.Errorf("it asks %v", got)
	}

	if got := value[string](w, `document.cookie`); got != "" {
		t.Errorf("scripts see the cookie: %q", got)
	}
	w.click("#sign-out")
	w.await("it is signed out", `seen($('#gate')) && !seen($('#main')) && !$('#found').children.length`)
	w.do("reloading", chromedp.Reload())
	w.await("it asks for the token again", `seen($('#gate')) && document.activeElement.id === 'token'`)
}

// TestReadOnlyPage has no controls, works by keyboard, and sees the gateway out and
// in again.
func TestReadOnlyPage(t *testing.T) {
	held := make(chan struct{})
	s := start(t, Config{}, func(g *gateway.Config) {
		g.StopTimeout = wait
		g.Router = hooks.RouterFuncs{OnClose: func(context.Context, hooks.Bus, hooks.CloseEvent) { <-held }}
	})
	release := sync.OnceFunc(func() { close(held) })
	t.Cleanup(release)
	w := look(browser.Start(t, "force-prefers-reduced-motion"), t, s.url)
	w.live()
	m := s.dial("?topic=news")
	w.await("a client", `tile('Clients') === '1'`)
	ids, err := s.gw.UniqIDs(t.Context())
	must(t, err)
	w.typeIn("#find-id", ids[0]+"\r")
	w.await("it is found", `text('#find-status') === '1 client found.'`)
	if n := value[int](w, `[...document.querySelectorAll('.kick, #found form, #publish-card, #sign-out')].filter((e) => e.checkVisibility()).length`); n != 0 {
		t.Errorf("%d controls are there", n)
	}
	refused := value[string](w, `'' + location`)
	w.do("asking all the same", chromedp.Evaluate[chromedp.Void](`new Promise((done, fail) => {
		const ws = new WebSocket(`+quoted(strings.Replace(refused, "http", "ws", 1)+"live")+`);
		ws.onopen = () => ws.send(JSON.stringify({id: 1, do: 'kick', uniqId: `+quoted(ids[0])+`}));
		ws.onmessage = (e) => {
			const m = JSON.parse(e.data);
			if (m.type === 'reply') (m.error.includes('read-only') ? done : fail)(ws.close());
		};
	})`, chromedp.EvalAwaitPromise))

	// By keyboard: the first stop skips what is before the numbers, and plots tell
	// their values.
	w.do("going to the top", chromedp.Evaluate[chromedp.Void](`document.activeElement.blur(); scrollTo(0, 0)`))
	w.do("reloading", chromedp.Reload())
	w.live()
	w.press("\t")
	w.await("the skip link is seen", `document.activeElement.classList.contains('skip') && $('.skip').getBoundingClientRect().top >= 0`)
	w.press("\r")
	w.press("\t")
	w.await("a plot has the focus", `document.activeElement === $('.plot .canvas') && $('.plot .canvas').getAttribute('aria-valuetext').includes('connected 1')`)
	// There is a moment before once the page has heard of two.
	const before = `Number(document.querySelector('.plot .canvas').getAttribute('aria-valuenow')) < 0`
	for end := time.Now().Add(wait); !value[bool](w, before) && time.Now().Before(end); {
		w.press(kb.ArrowLeft)
	}
	w.await("it tells of a moment before", `text('.plot time') !== '' && `+before)
	w.press("\x1b")
	w.await("and of now", `text('.plot time') === ''`)
	for _, want := range []string{"find-by", "find-id"} { // past the other plots
		for range 12 {
			if value[string](w, `document.activeElement.id`) == want {
				break
			}
			w.press("\t")
		}
		w.await("the search has the focus", `document.activeElement.id === `+quoted(want))
	}
	if got := value[string](w, `[...document.querySelectorAll('input, select, textarea, button')].filter((e) => e.checkVisibility() && !e.labels?.length && !e.ariaLabel && !e.textContent.trim()).map((e) => e.outerHTML).join()`); got != "" {
		t.Errorf("without a label: %s", got)
	}

	// A drain, its end, and the next gateway at the same address.
	at := s.adm.Addr().String()
	ended := make(chan error, 1)
	go func() { ended <- s.gw.Drain(context.Background()) }()
	if code := m.closed(); code != 1012 {
		t.Errorf("closed with %d", code)
	}
	w.await("it says that it drains", `seen($('#notice')) && text('#notice').includes('sends its clients away')`)
	release()
	must(t, within(t, ended, "the drain"))
	w.await("it says that it is lost", `seen($('#notice')) && document.body.dataset.link !== 'live'`)
	start(t, Config{Addr: at})
	w.live()
	w.await("it is well again", `!seen($('#notice')) && tile('Clients') === '0'`)
}

// quoted is a string in JavaScript.
func quoted(s string) string { return string(encode(s)) }
