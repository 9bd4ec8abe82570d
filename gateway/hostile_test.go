package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/flate"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/transport/websocket"
)

const upgrade = "GET /ws HTTP/1.1\r\nHost: gateway.test\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n" +
	"Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\nSec-WebSocket-Version: 13\r\n"

// frame is a client's frame with a mask of its own.
func frame(op websocket.Opcode, payload string) string {
	return string(websocket.AppendMaskedFrame(nil, true, false, op, [4]byte{1, 2, 3, 4}, []byte(payload)))
}

// shake shakes hands by hand.
func (g *host) shake(extra string) (net.Conn, *bufio.Reader) {
	g.t.Helper()
	c := g.raw()
	_, err := io.WriteString(c, upgrade+extra+"\r\n")
	must(g.t, err)
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, nil)
	must(g.t, err)
	if resp.StatusCode != http.StatusSwitchingProtocols {
		g.t.Fatalf("handshake: %s", resp.Status)
	}
	return c, r
}

// closeCode reads frames up to the close frame.
func closeCode(r *bufio.Reader) (int, error) {
	for {
		var head [2]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return 0, err
		}
		if head[1] > 125 {
			return 0, fmt.Errorf("frame %x is longer than this test expects", head)
		}
		body := make([]byte, head[1])
		if _, err := io.ReadFull(r, body); err != nil {
			return 0, err
		}
		if head[0] == 0x88 {
			code, _, err := websocket.ParseClose(body)
			return code, err
		}
	}
}

// witness is a client that must go on being served.
func witness(t *testing.T, h harness, cfg gateway.Config) (g *host, check func()) {
	r := greeter()
	r.OnMessage = func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
		_ = bus.SingleCast(ctx, e.UniqID, e.Data)
	}
	cfg.Router = r
	g = h.start(t, cfg)
	c := g.join()
	return g, func() {
		t.Helper()
		c.send("still served")
		c.expect("still served")
	}
}

// Bad frames end with the RFC's close code.
func TestBadFrames(t *testing.T) {
	long := strings.Repeat("x", 126)
	for _, tc := range []struct {
		name, bytes string
		code        int
	}{
		{"reserved bit", "\xc1\x80\x01\x02\x03\x04", 1002},
		{"reserved opcode", "\x83\x80\x01\x02\x03\x04", 1002},
		{"not masked", "\x81\x01x", 1002},
		{"continuation of nothing", frame(websocket.OpContinuation, "x"), 1002},
		{"fragmented ping", "\x09\x80\x01\x02\x03\x04", 1002},
		{"long ping", frame(websocket.OpPing, long), 1002},
		{"longer length than needed", "\x81\xfe\x00\x01\x01\x02\x03\x04x", 1002},
		{"negative length", "\x81\xff\x80\x00\x00\x00\x00\x00\x00\x00\x01\x02\x03\x04", 1002},
		{"close with one byte", frame(websocket.OpClose, "x"), 1002},
		{"close with a code that is not sent", frame(websocket.OpClose, "\x03\xee"), 1002},
		{"close with a reason that is not UTF-8", frame(websocket.OpClose, "\x03\xe8\xff"), 1007},
		{"text that is not UTF-8", frame(websocket.OpText, "a\xffb"), 1007},
		{"text that ends in the middle", frame(websocket.OpText, "\xe2\x82"), 1007},
		{"a header that announces too much", "\x82\xff\x00\x00\x00\x00\x40\x00\x00\x00\x01\x02\x03\x04", 1009},
		{"proper close", frame(websocket.OpClose, "\x0f\xa0bye"), 4000},
		{"close without code", frame(websocket.OpClose, ""), 1005},
	} {
		t.Run(tc.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, h harness) {
				g, check := witness(t, h, gateway.Config{})
				c, r := g.shake("")
				_, err := io.WriteString(c, tc.bytes)
				must(t, err)
				code, err := closeCode(r)
				if err != nil || code != tc.code {
					t.Errorf("close code %d, %v, want %d", code, err, tc.code)
				}
				check()
			})
		})
	}
}

// Bad handshakes are answered with an HTTP status.
func TestBadHandshakes(t *testing.T) {
	replace := func(old, new string) string { return strings.Replace(upgrade, old, new, 1) + "\r\n" }
	for _, tc := range []struct {
		name, request string
		status        int
	}{
		{"wrong path", replace("/ws", "/other"), 404},
		{"query string", replace("/ws", "/ws?a=1"), 101},
		{"method", replace("GET", "POST"), 405},
		{"version", replace("Version: 13", "Version: 8"), 426},
		{"no key", replace("Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n", ""), 400},
		{"short key", replace("AAECAwQFBgcICQoLDA0ODw==", "AAEC"), 400},
		{"no upgrade", replace("Upgrade: websocket\r\n", ""), 400},
		{"other origin", replace("Upgrade", "Origin: https://evil.test\r\nUpgrade"), 403},
		{"origin that contains ours", replace("Upgrade", "Origin: https://gateway.test.evil.test\r\nUpgrade"), 403},
		{"same origin", replace("Upgrade", "Origin: http://gateway.test\r\nUpgrade"), 101},
		{"not HTTP", "\x16\x03\x01 hello\r\n\r\n", 400},
		{"a head of 8 MiB", strings.TrimSuffix(upgrade, "\r\n") + "\r\nX: " + strings.Repeat("x", 8<<20) + "\r\n\r\n", 431},
	} {
		t.Run(tc.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, h harness) {
				g, check := witness(t, h, gateway.Config{Path: "/ws"})
				c := g.raw()
				var writing sync.WaitGroup
				writing.Go(func() { _, _ = io.WriteString(c, tc.request) })
				resp, err := http.ReadResponse(bufio.NewReader(c), nil)
				must(t, err)
				if resp.StatusCode != tc.status {
					t.Errorf("status %s, want %d", resp.Status, tc.status)
				}
				if tc.status == 426 && resp.Header.Get("Sec-Websocket-Version") != "13" {
					t.Errorf("headers %v", resp.Header)
				}
				_ = c.Close()
				writing.Wait()
				check()
			})
		})
	}
}

// A frame that comes in the same segment as the handshake is data.
func TestDataBehindHandshake(t *testing.T) {
	onEach(t, func(t *testing.T, h harness) {
		g, _ := witness(t, h, gateway.Config{})
		c := g.raw()
		_, err := io.WriteString(c, upgrade+"\r\n"+frame(websocket.OpText, "early"))
		must(t, err)
		r := bufio.NewReader(c)
		var got []byte
		for !bytes.Contains(got, []byte("early")) {
			b, err := r.ReadByte()
			must(t, err)
			got = append(got, b)
		}
	})
}

// Half a handshake is ended by its deadline, and an idle one too.
func TestHalfHandshake(t *testing.T) {
	g, p := startPipe(t, gateway.Config{})
	silent, half := g.raw(), g.raw()
	_, err := io.WriteString(half, upgrade)
	must(t, err)
	p.Advance(9 * time.Second)
	p.Advance(2 * time.Second)
	for _, c := range []net.Conn{silent, half} {
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != http.StatusRequestTimeout {
			t.Fatalf("%v %v, want a 408", resp, err)
		}
	}
	p.Advance(2 * time.Second)
	if n, err := silent.Read(make([]byte, 1)); err == nil {
		t.Errorf("read %d bytes from a connection that must be closed", n)
	}
}

// A deflate bomb is stopped at the message limit, in bounded memory.
func TestDeflateBomb(t *testing.T) {
	var bomb bytes.Buffer
	w, err := flate.NewWriter(&bomb, 9)
	must(t, err)
	zeros := make([]byte, 1<<20)
	for range 256 {
		_, err = w.Write(zeros)
		must(t, err)
	}
	must(t, w.Flush())
	payload := bytes.TrimSuffix(bomb.Bytes(), []byte{0, 0, 0xff, 0xff})
	sent := websocket.AppendMaskedFrame(nil, true, true, websocket.OpBinary, [4]byte{1, 2, 3, 4}, payload)

	onEach(t, func(t *testing.T, h harness) {
		g, check := witness(t, h, gateway.Config{Compression: 1})
		c, r := g.shake("Sec-WebSocket-Extensions: permessage-deflate\r\n")
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := c.Write(sent)
		must(t, err)
		code, err := closeCode(r)
		if err != nil || code != 1009 {
			t.Errorf("close code %d, %v, want 1009", code, err)
		}
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 32<<20 {
			t.Errorf("a bomb of %d bytes cost %d bytes", len(sent), used)
		}
		check()
	})
}

// One client floods while its handler blocks: the loops serve everyone else,
// and what the handler gets is in order.
func TestFloodWhileHandlerBlocks(t *testing.T) {
	const others, rounds = 50, 20
	onEach(t, func(t *testing.T, h harness) {
		release := make(chan struct{})
		var seen []string
		r := greeter()
		r.OnMessage = func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
			if e.Session != "flood" {
				_ = bus.SingleCast(ctx, e.UniqID, e.Data)
				return
			}
			<-release
			seen = append(seen, string(e.Data))
		}
		g := h.start(t, gateway.Config{Router: r})
		flood := g.join()
		must(t, g.UpdateConnInfo(t.Context(), hooks.ConnInfoUpdate{UniqID: flood.id, NewSession: "flood"}))
		var flooding sync.WaitGroup
		flooding.Go(func() {
			for i := 0; ; i++ {
				if flood.WriteMessage(1, fmt.Appendf(nil, "%06d", i)) != nil {
					return
				}
			}
		})
		for range others {
			c := g.join()
			for range rounds {
				c.send("echo")
				c.expect("echo")
			}
		}
		flood.expectClose(1013, "inbox full")
		_ = flood.Close()
		flooding.Wait()
		close(release)
		must(t, g.stop())
		for i, s := range seen {
			if want := fmt.Sprintf("%06d", i); s != want {
				t.Fatalf("message %d is %s", i, s)
			}
		}
		s := g.Stats()
		if int64(len(seen))+s.Drops[hooks.DropBacklog].Messages+int64(others*rounds) != s.MessagesIn || len(seen) == 0 {
			t.Errorf("%d handled, drops %+v, %d came in", len(seen), s.Drops, s.MessagesIn)
		}
	})
}
