package admin

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/sluicegate/sluice/internal/browser"
)

var (
	screenshots = flag.String("screenshots", "", "write pictures of the page into this `directory`, for docs")
	screensOf   = flag.String("of", "", "`address` of the Admin to take them of, as in http://127.0.0.1:6064; by default one of the test's own, with a little to show")
	screensBy   = flag.String("by", "", "its `token`")
)

// TestScreenshots takes the pictures of docs/dashboard.md:
//
//	go test ./admin -run Screenshots -args -screenshots docs/dashboard -of http://127.0.0.1:6064 -by token
//
// with a relative directory taken from the module's root.
func TestScreenshots(t *testing.T) {
	dir := *screenshots
	if dir == "" {
		dir = t.TempDir() // that they can be taken is worth a test
	} else if !filepath.IsAbs(dir) {
		dir = filepath.Join("..", dir)
	}
	must(t, os.MkdirAll(dir, 0o755))
	at, by := *screensOf, *screensBy
	if at == "" {
		s := busy(t)
		at, by = s.url, token
	}
	for _, p := range []struct {
		name          string
		width, height int64
		phone         bool
		flags         []string
	}{
		{"light", 1360, 900, false, nil},
		{"dark", 1360, 900, false, []string{"force-dark-mode"}},
		{"phone", 390, 844, true, nil},
	} {
		t.Run(p.name, func(t *testing.T) {
			w := look(browser.Start(t, p.flags...), t, at)
			size := chromedp.EmulateViewport(p.width, p.height)
			if p.phone {
				size = chromedp.EmulateViewport(p.width, p.height, chromedp.EmulateMobile, chromedp.EmulateScale(2))
			}
			w.do("taking its size", size)
			if by != "" {
				w.await("it asks for the token", `seen($('#token'))`)
				w.typeIn("#token", by+"\r")
			}
			w.await("it is live", `document.body.dataset.link === 'live' && $$('#left-tables tbody tr').length > 3 && tile('Clients') !== '–'`)
			must(t, os.WriteFile(filepath.Join(dir, p.name+".png"), small(t, w.picture(!p.phone)), 0o644))
		})
	}
}
