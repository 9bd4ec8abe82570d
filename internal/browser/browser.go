// Package browser starts a headless Chromium for tests of pages.
package browser

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// Start starts a browser without any window yet, for the length of the test. On
// a machine without one the test is skipped, but fails if CI is "true". flags
// are names of Chromium's own flags, to be set.
func Start(t *testing.T, flags ...string) context.Context {
	t.Helper()
	exe := find()
	if exe == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("no Chromium here, and CI must run this test: install Debian's package chromium")
		}
		t.Skip("SKIPPED: no Chromium here (Debian's package chromium); the page is not tested")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 55*time.Second)
	t.Cleanup(cancel)
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(exe),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.NoSandbox,
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.WindowSize(1200, 800),
	)
	for _, f := range flags {
		opts = append(opts, chromedp.Flag(f, true))
	}
	ctx, cancel = chromedp.NewExecAllocator(ctx, opts...)
	t.Cleanup(cancel)
	ctx, _ = chromedp.NewContext(ctx, chromedp.WithErrorf(t.Logf))
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting %s: %v", exe, err)
	}
	// Before the allocator's cancel and the removal of the directory, the
	// browser is asked to end by itself.
	t.Cleanup(func() { _ = chromedp.Cancel(ctx) })
	return ctx
}

func find() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			return p
		}
	}
	return ""
}
