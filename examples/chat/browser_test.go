package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/sluicegate/sluice/internal/browser"
)

// window is a browser window of its own, which shares nothing with others.
type window struct {
	t     *testing.T
	who   string
	ctx   context.Context
	close func()
}

func open(browser context.Context, t *testing.T, who, url string) window {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext(), chromedp.WithNewWindow(true))
	w := window{t: t, who: who, ctx: ctx, close: cancel}
	// Without a time limit, as the window lives as long as this context.
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("opening a window for %s: %v", who, err)
	}
	messages := chromedp.Console(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for m, err := range messages {
			if err == nil && (m.IsException() || m.Source == "security") {
				t.Errorf("%s: the browser complains: %v", who, m)
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-watched
	})
	w.do("opening the page", chromedp.Navigate(url))
	return w
}

// step is something done to a page.
type step = chromedp.Action[chromedp.Void]

func (w window) do(doing string, steps ...step) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, 20*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		w.fail(doing, err)
	}
}

// await waits until a JavaScript condition holds. It looks after every change
// of the document and not in between. (chromedp.Poll would need the page's
// policy to allow eval.)
func (w window) await(what, condition string) {
	w.t.Helper()
	js := fmt.Sprintf(`new Promise((done) => {
		const text = (id) => document.getElementById(id).textContent;
		const items = (id) => [...document.getElementById(id).children].map((c) => c.dataset.key).join(' ');
		const log = (s) => [...document.querySelectorAll('#log .text-of, #log .note')].some((e) => e.textContent === s);
		const link = () => document.body.dataset.link;
		const holds = () => (%s) && (watch.disconnect(), done(true), true);
		const watch = new MutationObserver(holds);
		if (!holds()) watch.observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
	})`, condition)
	w.do("waiting until "+what, chromedp.Evaluate[chromedp.Void](js, chromedp.EvalAwaitPromise))
}

func (w window) fail(doing string, err error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, 3*time.Second)
	defer cancel()
	seen, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.dataset.link + "\n" + document.body.innerText`))
	w.t.Fatalf("%s, %s: %v\nthe page shows: %s", w.who, doing, err, seen)
}

// enter fills in the form at the door and presses Enter.
func (w window) enter(nick, room string) {
	w.t.Helper()
	w.await("the form is there", `!document.getElementById('gate').hidden && !document.getElementById('enter-go').disabled`)
	w.do("entering",
		chromedp.Evaluate[chromedp.Void](fmt.Sprintf(
			`document.getElementById('nick').value = ''; document.getElementById('first-room').value = %q`, room)),
		chromedp.SendKeys(chromedp.CSS("#nick"), nick+"\r"))
}

func (w window) say(text string) {
	w.t.Helper()
	w.do("saying "+text, chromedp.SendKeys(chromedp.CSS("#text"), text+"\r"))
}

func (w window) click(selector string) {
	w.t.Helper()
	w.do("clicking "+selector, chromedp.Click(chromedp.CSS(selector)))
}

func (w window) members(nicks ...string) {
	w.t.Helper()
	want := strings.Join(nicks, " ")
	w.await("the members are "+want, fmt.Sprintf(`items('members') === %q`, want))
}

func (w window) hears(text string) {
	w.t.Helper()
	w.await("it reads "+text, fmt.Sprintf(`log(%q)`, text))
}

// TestTwoWindows is an afternoon in the chat.
func TestTwoWindows(t *testing.T) {
	s := start(t, anyPort...)
	b := browser.Start(t)
	ann := open(b, t, "ann", s.url)
	// The same page by another name is another origin.
	bob := open(b, t, "bob", strings.Replace(s.url, "127.0.0.1", "localhost", 1))

	// Nicknames and rooms.
	ann.enter("Ann", "harbour")
	ann.members("ann")
	bob.enter("ann", "harbour")
	bob.await("the nickname is refused", `text('enter-error').includes('ann')`)
	bob.enter("bob", "harbour")
	for _, w := range []window{ann, bob} {
		w.members("ann", "bob")
		w.await("it is connected", `link() === 'open'`)
	}
	ann.hears("bob joined")

	// Talking, and text that would like to be markup.
	ann.say("ahoy bob")
	bob.hears("ahoy bob")
	const markup = `<img src=x onerror="document.title='owned'"> & more`
	bob.say(markup)
	for _, w := range []window{ann, bob} {
		w.hears(markup)
		w.await("markup is text", `!document.querySelector('#log img') && document.title !== 'owned'`)
	}

	// Leaving and joining, live; bob joins again from the list of rooms.
	bob.click("#leave")
	bob.await("no room is left", `items('mine') === ''`)
	ann.members("ann")
	ann.hears("bob left")
	bob.await("the room is offered", `items('others') === 'harbour' && text('others') === 'harbour1'`)
	bob.click("#others button")
	bob.members("ann", "bob")
	ann.members("ann", "bob")

	// A second room at the same time.
	bob.do("opening a room", chromedp.SendKeys(chromedp.CSS("#join-room"), "deck\r"))
	bob.await("the new room is shown", `text('title') === '#deck' && items('mine') === 'harbour deck'`)
	ann.await("the new room is offered", `items('others') === 'deck'`)
	ann.say("are you there?")
	bob.await("a message is unread", `document.querySelector('#mine [data-key=harbour] .badge').textContent === '1'`)
	bob.click("#mine [data-key=harbour] button")
	bob.hears("are you there?")

	// A whisper.
	bob.click(`#members [data-key=ann] .row`)
	bob.await("the whisper is open", `text('title') === '@ann'`)
	bob.say("just you")
	bob.hears("just you")
	ann.await("a whisper is unread", `document.querySelector('#whispers [data-key=bob] .badge')?.textContent === '1'`)
	ann.click("#whispers [data-key=bob] button")
	ann.hears("just you")
	ann.click("#mine [data-key=harbour] button")
	bob.click("#mine [data-key=harbour] button")

	// On a phone the members are in a drawer, out of reach while it is shut.
	bob.do("becoming a phone", chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile))
	bob.await("the drawer is shut", `document.getElementById('members-panel').inert`)
	bob.click("#open-members")
	bob.await("the drawer is open", `!document.getElementById('members-panel').inert
		&& document.getElementById('members-panel').contains(document.activeElement)`)
	bob.do("pressing Escape", chromedp.KeyEvent("\x1b"))
	bob.await("the drawer is shut again", `document.getElementById('members-panel').inert
		&& document.activeElement.id === 'open-members'`)
	bob.do("becoming a desk again", chromedp.EmulateViewport(1200, 800))
	bob.await("the members are there", `!document.getElementById('members-panel').inert`)

	// A kick: only the host can, it takes two clicks, and bob stays away until
	// he says otherwise.
	bob.await("bob may not kick", `[...document.querySelectorAll('#members .kick')].every((k) => k.hidden)`)
	ann.click("#members [data-key=bob] .kick")
	ann.click("#members [data-key=bob] .kick.sure")
	bob.await("bob is told", `link() === 'stopped' && text('notice-text') === 'ann removed you from harbour.'`)
	ann.hears("bob was removed by ann")
	ann.members("ann")
	bob.do("a network that comes and goes", chromedp.Evaluate[chromedp.Void](`dispatchEvent(new Event('online'))`))
	bob.await("bob stays away", `link() === 'stopped'`)
	bob.click("#retry")
	bob.members("ann", "bob")
	ann.members("ann", "bob")

	// A reload keeps nickname, rooms and place.
	bob.do("reloading", chromedp.Reload())
	bob.members("ann", "bob")
	bob.await("bob is himself", `text('me') === 'bob' && items('mine').split(' ').sort().join(' ') === 'deck harbour'`)

	// The gateway goes away and comes back.
	if err := s.stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
	for _, w := range []window{ann, bob} {
		w.await("it sees that the connection is lost", `link() !== 'open' && !document.getElementById('notice').hidden`)
	}
	start(t, s.addrs()...)
	for _, w := range []window{ann, bob} {
		w.await("it is back", `link() === 'open' && document.getElementById('notice').hidden`)
		w.members("ann", "bob")
		w.hears("You are back")
	}
	bob.say("that was rough")
	ann.hears("that was rough")

	// A window that is closed says no good-bye.
	bob.close()
	ann.members("ann")
	ann.await("the host is who is left", `text('members').includes('host')`)
}
