package gnet

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/internal/sampled"
)

// Clients for whom there is no descriptor, and what the engine says of its errors,
// do not fill the log.
func TestLogIsSampled(t *testing.T) {
	var log bytes.Buffer
	tr := Listen("127.0.0.1:0")
	tr.opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
	l := logger{log: tr.opts.Logger, errors: new(sampled.Event)}
	const times = 100
	for range times {
		tr.turnAway()
		l.Errorf("accept: %s\n", "no descriptors")
		l.Warnf("peer reset")
	}
	for _, event := range []string{`msg="client turned away" reason=`, `msg="engine error" text="accept: no descriptors" suppressed=`} {
		if n := strings.Count(log.String(), event); n < 5 || n > 20 {
			t.Errorf("%d records of %q, of %d", n, event, times)
		}
	}
	if strings.Contains(log.String(), "peer reset") {
		t.Errorf("what peers do is not for debugging alone:\n%s", &log)
	}
}
