package admin

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// A tab is a browser window of its own, which shares nothing with others.
type tab struct {
	t   *testing.T
	ctx context.Context
}

// look opens the page in a window. What the browser complains about fails the test,
// but for answers that say no, which it notes as well.
func look(browser context.Context, t *testing.T, url string) tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext(), chromedp.WithNewWindow(true))
	w := tab{t: t, ctx: ctx}
	if err := chromedp.Do(ctx); err != nil { // the window lives as long as this context
		t.Fatalf("opening a window: %v", err)
	}
	messages := chromedp.Console(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for m, err := range messages {
			if err == nil && (m.IsException() || m.Source != "network") {
				t.Errorf("the browser complains: %v", m)
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

func (w tab) do(doing string, steps ...chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, wait)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		w.fail(doing, err)
	}
}

func (w tab) fail(doing string, err error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, 3*time.Second)
	defer cancel()
	seen, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.dataset.link + "\n" + document.body.innerText`))
	w.t.Fatalf("%s: %v\nthe page shows: %s", doing, err, seen)
}

// await waits until a JavaScript condition holds. It looks after every change of the
// document and not in between.
func (w tab) await(what, condition string) {
	w.t.Helper()
	js := fmt.Sprintf(`new Promise((done) => {
		const $ = (s) => document.querySelector(s);
		const $$ = (s) => [...document.querySelectorAll(s)];
		const text = (s) => $(s)?.textContent ?? '';
		const tile = (name) => $$('.tile').find((t) => t.querySelector('dt').textContent === name)?.querySelector('.big').textContent ?? '';
		const seen = (e) => Boolean(e?.checkVisibility());
		const holds = () => (%s) && (watch.disconnect(), done(true), true);
		const watch = new MutationObserver(holds);
		if (!holds()) watch.observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
	})`, condition)
	w.do("waiting until "+what, chromedp.Evaluate[chromedp.Void](js, chromedp.EvalAwaitPromise))
}

func (w tab) click(selector string) {
	w.t.Helper()
	w.do("clicking "+selector, chromedp.Click(chromedp.CSS(selector)))
}

func (w tab) typeIn(selector, keys string) {
	w.t.Helper()
	w.do("typing into "+selector, chromedp.SendKeys(chromedp.CSS(selector), keys))
}

func (w tab) press(keys string) {
	w.t.Helper()
	w.do(fmt.Sprintf("pressing %q", keys), chromedp.KeyEvent(keys))
}

// value evaluates JavaScript.
func value[T any](w tab, js string) T {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, wait)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](js))
	if err != nil {
		w.fail(js, err)
	}
	return v
}

// picture returns the page as a PNG: all of it, or what is in the window.
func (w tab) picture(whole bool) []byte {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, wait)
	defer cancel()
	take := chromedp.CaptureScreenshot()
	if whole {
		take = chromedp.FullScreenshot(100)
	}
	b, err := chromedp.Run(ctx, take)
	if err != nil {
		w.fail("taking a picture", err)
	}
	return b
}
