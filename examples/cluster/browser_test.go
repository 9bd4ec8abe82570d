package main

import (
	"context"
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/sluicegate/sluice/internal/browser"
)

// A tab shows the chat of one node.
type tab struct {
	context.Context
	t   *testing.T
	who string
}

func openTab(b context.Context, t *testing.T, url, who string) tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b, chromedp.WithNewBrowserContext(), chromedp.WithNewWindow(true))
	t.Cleanup(cancel)
	w := tab{Context: ctx, t: t, who: who}
	// Without a time limit, as the tab lives as long as this context.
	if err := chromedp.Do(ctx, chromedp.Navigate(url+"/#bay")); err != nil {
		t.Fatalf("opening %s: %v", url, err)
	}
	w.await(`!document.getElementById('gate').hidden && !document.getElementById('enter-go').disabled`)
	w.do(chromedp.SendKeys(chromedp.CSS("#nick"), who+"\r"))
	return w
}

func (w tab) do(step chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w, wait)
	defer cancel()
	if err := chromedp.Do(ctx, step); err != nil {
		w.t.Fatalf("%s: %v", w.who, err)
	}
}

// await waits until a JavaScript condition holds, and looks after every change of the
// document.
func (w tab) await(condition string) {
	w.t.Helper()
	w.t.Logf("%s waits for %s", w.who, condition)
	w.do(chromedp.Evaluate[chromedp.Void](`new Promise((done) => {
		const members = () => [...document.getElementById('members').children].map((c) => c.dataset.key).join(' ');
		const log = (s) => [...document.querySelectorAll('#log .text-of, #log .note')].some((e) => e.textContent === s);
		const holds = () => (`+condition+`) && (watch.disconnect(), done(true), true);
		const watch = new MutationObserver(holds);
		if (!holds()) watch.observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
	})`, chromedp.EvalAwaitPromise))
}

// Two people in browsers, each on a node of their own.
func TestBrowser(t *testing.T) {
	urls := start(t, 2, "-nodes", "2")
	b := browser.Start(t)
	ann := openTab(b, t, urls[0], "ann")
	ann.await(`members() === 'ann'`)
	bob := openTab(b, t, urls[1], "bob")
	for _, w := range []tab{ann, bob} {
		w.await(`members() === 'ann bob'`)
	}
	ann.await(`log('bob joined')`)
	for _, w := range []tab{ann, bob} {
		w.do(chromedp.SendKeys(chromedp.CSS("#text"), "ahoy from "+w.who+"\r"))
		for _, other := range []tab{ann, bob} {
			other.await(fmt.Sprintf(`log('ahoy from %s')`, w.who))
		}
	}
	bob.do(chromedp.Click(chromedp.CSS("#leave")))
	ann.await(`members() === 'ann' && log('bob left')`)
}
