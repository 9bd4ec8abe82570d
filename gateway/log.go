package gateway

import (
	"context"
	"errors"
	"log/slog"
	"strconv"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/sampled"
	"github.com/sluicegate/sluice/transport"
)

// noise bounds how much clients and business processes can have logged.
type noise struct {
	refused, notAdmitted, notListed, bulk, limits sampled.Event
	panicked                                      sampled.Events // by what was called
}

// debugs reports whether the log wants records for debugging. Where clients make
// them, it is asked first, so that otherwise they cost no more than that.
func (g *Gateway) debugs() bool { return g.log.Enabled(context.Background(), slog.LevelDebug) }

// logServing tells where clients are accepted.
func (g *Gateway) logServing() {
	var addrs []string
	for _, a := range g.Addrs() {
		addrs = append(addrs, a.String())
	}
	g.log.Info("gateway serving", "addrs", addrs)
}

// logStopped tells what there was, for a Run that ends for this cause.
func (g *Gateway) logStopped(cause error) {
	reason := "drained"
	if !errors.Is(cause, errDrained) {
		reason = cause.Error()
	}
	s := g.Stats()
	var dropped int64
	for _, d := range s.Drops {
		dropped += d.Messages
	}
	g.log.Info("gateway stopped", "reason", reason, "opened", s.Opened, "closed", s.Closed,
		"received", s.MessagesIn, "sent", s.MessagesOut, "dropped", dropped)
}

func (g *Gateway) logOpened(c transport.Conn, o *origin) {
	g.log.Debug("client opened", "uniqId", o.event.UniqID, "remoteAddr", c.RemoteAddr().String(),
		"clientAddr", o.event.RemoteAddr, "path", excerpt(o.event.Path))
}

// logMessage is the only one that tells what a client has sent.
func (g *Gateway) logMessage(uniqID string, data []byte) {
	g.log.Debug("message received", "uniqId", uniqID, "bytes", len(data), "data", excerpt(data))
}

func (g *Gateway) logClosed(uniqID string, cause transport.CloseCause) {
	reason := cause.Reason
	if cause.Remote {
		reason = excerpt(reason)
	}
	g.log.Debug("client closed", "uniqId", uniqID, "code", cause.Code, "reason", reason, "byClient", cause.Remote)
}

// logLimits tells that a command has changed limits. One that only asks for them
// does not.
func (g *Gateway) logLimits(asked, now hooks.Limits) {
	if asked == (hooks.Limits{}) {
		return
	}
	if n, ok := g.noise.limits.Next(); ok {
		g.log.Info("limits changed", "onOpen", now.OnOpen, "onMessage", now.OnMessage, "suppressed", n)
	}
}

// excerptBytes is how much of what a client sends gets into the log.
const excerptBytes = 64

// excerpt returns the beginning of what a client has sent as printable ASCII, with
// the escapes of Go, so that it can pass for nothing else in a log of whatever form.
func excerpt[T string | []byte](data T) string {
	quoted := strconv.QuoteToASCII(string(data[:min(len(data), excerptBytes)]))
	return quoted[1 : len(quoted)-1]
}
