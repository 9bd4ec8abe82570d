package loop

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/transport"
)

// Whoever finds a message that makes the handler panic must not fill the log with
// stacks.
func TestPanicsAreSampled(t *testing.T) {
	var log bytes.Buffer
	k := newKit(t, func(o *transport.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	k.h.onMessage = func(*Conn, string) { panic("boom") }
	const times = 100
	for range times {
		s := k.open()
		s.conn.Input(clientFrame(1, "x"))
	}
	if n := strings.Count(log.String(), `msg="handler panicked" panic=boom stack=`); n < 5 || n > 20 {
		t.Errorf("%d records of %d panics", n, times)
	}
}
