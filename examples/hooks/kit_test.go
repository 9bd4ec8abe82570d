package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/url"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluicegate/sluice/gateway/gatewaytest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// gnet's pool of workers is one for the whole process and outlives
		// its engines.
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"),
	)
}

// host is the whole program but its transports, in memory.
type host struct {
	*gatewaytest.Gateway
	sign       tokens
	trail, log *lines
}

func newHost(t *testing.T) host {
	t.Helper()
	clock := gatewaytest.NewClock()
	h := host{sign: tokens{[]byte("a key"), clock.Now}, trail: new(lines), log: new(lines)}
	cfg, err := compose(h.sign, h.trail.logger(), h.log.logger())
	if err != nil {
		t.Fatal(err)
	}
	cfg.Clock = clock
	h.Gateway = gatewaytest.New(t, cfg)
	return h
}

// target is where name connects.
func (h host) target(name string) string {
	return "/ws?token=" + url.QueryEscape(h.sign.issue(name, h.sign.now().Add(time.Hour)))
}

// lines is a log as slog's JSON handler writes it.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(l, nil)) }

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// all returns the lines, less their times.
func (l *lines) all(t *testing.T) (all []map[string]any) {
	t.Helper()
	for line := range bytes.Lines([]byte(l.text())) {
		var m map[string]any
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		delete(m, "time")
		all = append(all, m)
	}
	return all
}
