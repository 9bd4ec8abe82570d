// Package page is the chat's web page. It needs no build step, and nothing from
// any other place than this directory.
package page

import (
	"embed"
	"encoding/json"
	"net/http"
)

//go:embed index.html style.css icon.svg js
var files embed.FS

// Gateway says where the page finds the gateway.
type Gateway struct {
	// Host is the gateway's host name or address. Empty means the one by
	// which the browser came to the page.
	Host string `json:"host"`
	Port int    `json:"port"`
	Path string `json:"path"`
}

// policy lets the page load its own files, connect to a WebSocket and do
// nothing else: should some text ever be taken for markup, it could not run.
// The gateway's host is not named, as it may be the browser's own idea of it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
	"connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handler serves the page, and as /config.json where its gateway is.
func Handler(g Gateway) http.Handler {
	static := http.FileServerFS(files)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /config.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(g)
	})
	mux.Handle("GET /", static)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache") // embedded files have no date to compare
		mux.ServeHTTP(w, r)
	})
}
