package page

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	Handler(Gateway{Host: "gw.example", Port: 6060, Path: "/ws"}).
		ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

func TestHandler(t *testing.T) {
	for path, kind := range map[string]string{
		"/":            "text/html",
		"/style.css":   "text/css",
		"/js/main.js":  "text/javascript",
		"/icon.svg":    "image/svg+xml",
		"/config.json": "application/json",
	} {
		w := get(t, path)
		if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), kind) {
			t.Errorf("%s: %d, %q, want 200 and %q", path, w.Code, w.Header().Get("Content-Type"), kind)
		}
		if w.Header().Get("Content-Security-Policy") != policy {
			t.Errorf("%s has no policy", path)
		}
	}
	if w := get(t, "/page.go"); w.Code != http.StatusNotFound {
		t.Errorf("/page.go: %d", w.Code)
	}
	var g Gateway
	if err := json.Unmarshal(get(t, "/config.json").Body.Bytes(), &g); err != nil || g.Host != "gw.example" || g.Port != 6060 || g.Path != "/ws" {
		t.Errorf("config.json says %+v, %v", g, err)
	}
}

// read returns all files of the page with an ending.
func read(t *testing.T, ending string) string {
	t.Helper()
	var all strings.Builder
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ending) {
			return err
		}
		data, err := files.ReadFile(path)
		all.Write(data)
		return err
	})
	if err != nil || all.Len() == 0 {
		t.Fatalf("reading %s: %v", ending, err)
	}
	return all.String()
}

// TestNothingFromOutside: the page works without the internet, and takes no
// text for markup.
func TestNothingFromOutside(t *testing.T) {
	all := strings.ReplaceAll(read(t, ""), `xmlns="http://www.w3.org/2000/svg"`, "")
	for _, bad := range []string{
		`https?://`, `url\(`, `@import`, `innerHTML`, `outerHTML`, `insertAdjacentHTML`, `document\.write`, `\beval\(`, `\sstyle="`, `\son\w+="`,
	} {
		if found := regexp.MustCompile(bad).FindString(all); found != "" {
			t.Errorf("the page has %q", found)
		}
	}
}

// TestElements: each element that the scripts ask for is in the page, and each
// field has a label.
func TestElements(t *testing.T) {
	html, js := read(t, ".html"), read(t, ".js")
	ids := map[string]bool{}
	for _, m := range regexp.MustCompile(`\sid="([^"]+)"`).FindAllStringSubmatch(html, -1) {
		if ids[m[1]] {
			t.Errorf("two elements are called %s", m[1])
		}
		ids[m[1]] = true
	}
	asked := regexp.MustCompile(`\$\('([^']+)'\)`).FindAllStringSubmatch(js, -1)
	if len(asked) < 20 {
		t.Errorf("only %d elements are asked for; does this test still see them?", len(asked))
	}
	for _, m := range asked {
		if !ids[m[1]] {
			t.Errorf("there is no element %s", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`<(?:input|textarea) id="([^"]+)"`).FindAllStringSubmatch(html, -1) {
		if !strings.Contains(html, `for="`+m[1]+`"`) {
			t.Errorf("%s has no label", m[1])
		}
	}
}
