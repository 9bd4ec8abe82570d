package admin

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/url"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/metrics"
)

// busy starts a gateway with a little to show: some clients, topics of hostile names,
// and a past that is made up.
func busy(t *testing.T) *site {
	m := metrics.New(metrics.Config{})
	s := start(t, Config{Token: token, Actions: true, Name: "edge-1", Metrics: m}, func(g *gateway.Config) { g.Hooks = append(g.Hooks, m) })
	for i := range 40 {
		q := url.Values{"topic": {"news", fmt.Sprintf("room.%d", i%7)}, "customer": {fmt.Sprintf("customer-%d", i/3)}}
		if i%5 == 0 {
			q.Add("topic", "<img src=x onerror=alert(1)>")
		}
		s.join(q)
	}
	past(s.adm.live)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	talker := s.join(url.Values{"topic": {"news"}})
	go func() {
		defer close(done)
		for tick := time.NewTicker(10 * time.Millisecond); ; {
			select {
			case <-tick.C:
				_ = s.gw.Publish(ctx, []string{"news"}, []byte("something new"))
				_ = talker.conn.WriteMessage(websocket.TextMessage, []byte("hello"))
			case <-ctx.Done():
				tick.Stop()
				return
			}
		}
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
	return s
}

// past makes up the last minutes.
func past(l *live) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ring = nil
	begin, out := time.Now().Add(-(window-2)*time.Second), 4000.0
	for i := range window - 2 {
		x := float64(i)
		out += 90*math.Sin(x/23) + 400*(rand.Float64()-.5)
		s := sample{
			Time: begin.Add(time.Duration(i) * time.Second).UnixMilli(), Status: gateway.StatusServing.String(),
			Clients: 40 + int(10*math.Sin(x/50)), Topics: 9, HeldLimit: 1 << 30, Held: int64(2e6 + 1e6*math.Sin(x/31)),
			In: 900 + 80*math.Sin(x/11) + 60*rand.Float64(), Out: math.Abs(out), BytesIn: 22e3, BytesOut: math.Abs(out) * 40,
			Opened: 3 * rand.Float64(), Closed: 2 * rand.Float64(), Handled: 900,
			Handler: &times{P50: 42e-6 + 6e-6*rand.Float64(), P99: 310e-6 + 150e-6*rand.Float64(), Max: 1e-3},
			Lag:     &times{P50: 20e-6, P99: 90e-6 + 60e-6*rand.Float64(), Max: 1e-3},
			Workers: workers{Busy: 3 + rand.IntN(4), Limit: 1024, Waiting: rand.IntN(2)},
			Closes:  map[string]float64{"1000 client": float64(rand.IntN(3)), "1006 lost": float64(rand.IntN(2))},
		}
		if i > 200 && i < 230 {
			s.Drops = map[string]float64{string(hooks.DropSlow): 40 * rand.Float64(), string(hooks.DropBacklog): 12 * rand.Float64()}
			s.Closes["1013 slow consumer"] = float64(rand.IntN(4))
		}
		l.ring = append(l.ring, s)
	}
}
