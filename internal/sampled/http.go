package sampled

import (
	"bytes"
	"log"
	"log/slog"
)

// ErrorLog returns an http.Server's ErrorLog whose lines are records of one event:
// net/http says there what clients do wrong and how handlers panic.
func ErrorLog(l *slog.Logger) *log.Logger { return log.New(&lines{log: l}, "", 0) }

// lines is written to by a log.Logger, a line at a time.
type lines struct {
	log   *slog.Logger
	event Event
}

// Write implements io.Writer.
func (w *lines) Write(line []byte) (int, error) {
	if n, ok := w.event.Next(); ok {
		w.log.Warn("http server error", "text", string(bytes.TrimSpace(line)), "suppressed", n)
	}
	return len(line), nil
}
