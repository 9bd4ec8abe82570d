package admin

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"time"
)

//go:embed page
var files embed.FS

// A file is one of the page's. All of them are for anybody, as they say nothing about
// the gateway.
type file struct {
	path    string // a pattern for a ServeMux
	kind    string
	tag     string
	content []byte
}

// newPage returns the page's files.
func newPage() (all []file, err error) {
	kinds := map[string]string{
		".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
		".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
	}
	root, err := fs.Sub(files, "page")
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	err = fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		kind, ok := kinds[path.Ext(name)]
		if !ok {
			return fmt.Errorf("admin: no content type for the page's file %s", name)
		}
		f := file{path: "/" + name, kind: kind, content: content}
		if name == "index.html" {
			f.path = "/{$}"
		}
		sum := sha256.Sum256(content)
		f.tag = `"` + hex.EncodeToString(sum[:12]) + `"`
		all = append(all, f)
		return nil
	})
	return all, err
}

// ServeHTTP implements http.Handler.
func (f file) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("ETag", f.tag)
	h.Set("Cache-Control", "no-cache") // ask whether it has changed, as another release may
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.content))
}
