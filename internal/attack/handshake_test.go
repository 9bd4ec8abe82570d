//go:build unix

package attack

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/internal/await"
	"github.com/sluicegate/sluice/internal/wsclient"
	"github.com/sluicegate/sluice/transport/websocket"
)

// smallHeader is the MaxHeader of these tests.
const smallHeader = 4 << 10

// head is a request head that is right but for its end, with a line that makes it
// size bytes long.
func head(size int) string {
	const begin = "GET / HTTP/1.1\r\nHost: gateway.test\r\nX-Filler: "
	return begin + strings.Repeat("x", size-len(begin))
}

// Heads at the limit and beyond, in one line or in very many, ended or not, cost
// what the limit allows for each connection, and are answered.
func TestHeaderFlood(t *testing.T) {
	n := scaled(400, 4)
	const timeout = 2 * time.Second
	s := serve(t, gateway.Config{HandshakeTimeout: timeout}, nil)
	a := s.attack("header flood", n)
	before := s.Stats().Opened
	// A quarter holds a head of 16 KiB, whose buffer may have grown to twice
	// that; another quarter has its head taken apart, one at a time: it is
	// garbage then, of which there is the more when it is weighed the busier the
	// computer is. The end of a client that has come so has a worker, and so has the
	// beginning of the next one from there.
	s.during("flood", bound{heap: int64(n/4)*2*16<<10 + 16<<20, goroutines: 2 * (n / 4)}, func() {
		a.word()
		if got := a.count("too large"); got != n/4 {
			t.Errorf("%d endless heads were refused with 431, want %d", got, n/4)
		}
		if got := a.count("timed out"); got != n/4 {
			t.Errorf("%d unfinished heads were ended with 408, want %d", got, n/4)
		}
		if got := a.count("malformed"); got != n/4 {
			t.Errorf("%d heads of nonsense were refused with 400, want %d", got, n/4)
		}
		entered := a.count("entered")
		if entered != n/4*floods {
			t.Errorf("%d heads of many lines were taken, want %d", entered, n/4*floods)
		}
		await.Until(t, func() string { // the answer leaves before the client is counted
			if opened := s.Stats().Opened - before; opened != int64(entered) {
				return fmt.Sprintf("the gateway has counted %d clients, there were %d", opened, entered)
			}
			return ""
		})
	})
	s.over(a)
}

// floods is how often each connection of the flood tries.
const floods = 10

func headerFlood(a *assault) error {
	const limit = 16 << 10
	lines := func(size int) []byte {
		b := []byte("GET / HTTP/1.1\r\n")
		for i := 0; len(b) < size; i++ {
			b = fmt.Appendf(b, "%x:\r\n", i)
		}
		return b
	}
	good := wsclient.Request{}.Append(nil, wsclient.Key())
	end := bytes.IndexByte(good, '\n') + 1
	many := lines(limit - len(good) - 8)
	many = append(many, good[end:]...)
	var got tallyOf
	acts := []func() error{
		func() error { // a line that never ends
			c, err := a.dial()
			if err != nil {
				return err
			}
			defer drop(c)
			go func() {
				for chunk := []byte(head(64 << 10)); ; {
					if _, err := c.Write(chunk); err != nil {
						return
					}
				}
			}()
			got.add(status(c))
			return nil
		},
		func() error { // as much as may be, and then nothing
			c, err := a.dial()
			if err != nil {
				return err
			}
			defer drop(c)
			if _, err := c.Write(lines(limit - 16)); err != nil {
				return err
			}
			got.add(status(c))
			_, err = io.Copy(io.Discard, c)
			return err
		},
		func() error { // as many lines as may be, all in order
			for range floods {
				c, err := a.dial()
				if err != nil {
					return err
				}
				if _, err := c.Write(many); err != nil {
					return err
				}
				got.add(status(c))
				drop(c)
			}
			return nil
		},
		func() error { // nonsense
			c, err := a.dial()
			if err != nil {
				return err
			}
			defer drop(c)
			if _, err := c.Write(append(bytes.Repeat([]byte("\x16\x03\x01 \x00"), 1000), "\r\n\r\n"...)); err != nil {
				return err
			}
			got.add(status(c))
			return nil
		},
	}
	if err := a.each(a.n, a.n, func(i int) error { return acts[i%len(acts)]() }); err != nil {
		return err
	}
	a.say("too large", got.of(http.StatusRequestHeaderFieldsTooLarge))
	a.say("timed out", got.of(http.StatusRequestTimeout))
	a.say("malformed", got.of(http.StatusBadRequest))
	a.say("entered", got.of(http.StatusSwitchingProtocols))
	return got.rest()
}

// Ten thousand connections that never finish their heads, and send a byte now and
// then so that something seems to come, are ended when the time for a handshake is
// up, counted from the beginning. Until then each costs its head.
func TestSlowloris(t *testing.T) {
	n := scaled(10_000, 4)
	const timeout = 5 * time.Second
	s := serve(t, gateway.Config{MaxHeader: smallHeader, HandshakeTimeout: timeout}, nil)
	a := s.attack("slowloris", n)
	// The head, whose buffer is not twice as large, as it comes in one piece;
	// a connection takes 1 KiB.
	s.during("half open", bound{heap: int64(n) * (smallHeader + 1<<10)}, func() {
		a.word()
		if took := a.count("opened, ms"); took > int(timeout/time.Millisecond) {
			t.Errorf("they were not half open at the same time: the last came after %d ms", took)
		}
		if got := a.count("cut"); got != n {
			t.Errorf("%d were ended with 408, want %d", got, n)
		}
		soonest, latest := time.Duration(a.count("soonest, ms"))*time.Millisecond, time.Duration(a.count("latest, ms"))*time.Millisecond
		// The answer is given time, for which a close handshake has 1.5 seconds.
		if soonest < timeout-500*time.Millisecond || latest > timeout+4*time.Second {
			t.Errorf("they lasted between %v and %v with a limit of %v", soonest, latest, timeout)
		}
	})
	if got := s.Stats().Opened; got != witnessCount {
		t.Errorf("%d clients were opened", got)
	}
	s.over(a)
}

func slowloris(a *assault) error {
	begun := time.Now()
	almost := []byte(head(smallHeader - 128))
	conns, since := make([]net.Conn, a.n), make([]time.Time, a.n)
	if err := a.each(a.n, 64, func(i int) error {
		c, err := a.dial()
		if err != nil {
			return err
		}
		conns[i], since[i] = c, time.Now()
		_, err = c.Write(almost)
		return err
	}); err != nil {
		return err
	}
	a.say("opened, ms", int(time.Since(begun)/time.Millisecond))

	var mu sync.Mutex
	var cut, soonest, latest int
	over := make(chan struct{})
	var ends, trickle sync.WaitGroup
	for i, c := range conns {
		ends.Go(func() {
			code := status(c)
			_, _ = io.Copy(io.Discard, c)
			took := int(time.Since(since[i]) / time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			if code == http.StatusRequestTimeout {
				cut++
			}
			if soonest == 0 {
				soonest = took
			}
			soonest, latest = min(soonest, took), max(latest, took)
		})
	}
	trickle.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for i := 0; ; {
			select {
			case <-over:
				return
			case <-tick.C:
			}
			for range 10 { // of ten thousand: each gets a byte in a second
				_, _ = conns[i].Write([]byte{'x'})
				i = (i + 1) % len(conns)
			}
		}
	})
	ends.Wait()
	close(over)
	trickle.Wait()
	a.say("cut", cut)
	a.say("soonest, ms", soonest)
	a.say("latest, ms", latest)
	return nil
}

// Ten thousand times somebody connects and is gone again, at each point of the
// handshake: no place is lost, and each Open has its Close.
func TestReconnectStorm(t *testing.T) {
	n := scaled(10_000, 4)
	s := serve(t, gateway.Config{}, nil)
	a := s.attack("reconnect storm", n)
	before := s.Stats().Opened
	// No more than a hundred are there at a time.
	s.during("storm", bound{heap: 2 << 20, goroutines: 100}, func() {
		a.word()
		entered := a.count("entered")
		if entered != n/2 {
			t.Errorf("%d of %d got in", entered, n/2)
		}
		await.Until(t, func() string {
			if opened := s.Stats().Opened - before; opened < int64(entered) || opened > int64(n/4*3) {
				return fmt.Sprintf("%d clients counted as opened: %d got in, %d may have", opened, entered, n/4*3)
			}
			return ""
		})
	})
	s.over(a)
}

func reconnectStorm(a *assault) error {
	var entered tallyOf
	err := a.each(a.n, 100, func(i int) error {
		c, err := a.dial()
		if err != nil {
			return err
		}
		switch i % 4 {
		case 0: // gone before a word is said
			drop(c)
			return nil
		case 1: // gone before the answer
			_, err = c.Write(wsclient.Request{}.Append(nil, wsclient.Key()))
			drop(c)
			return err
		}
		conn, err := wsclient.Open(c, wsclient.Request{})
		if err != nil {
			return err
		}
		entered.add(0)
		if i%4 == 2 { // gone without a word of parting
			drop(c)
			return nil
		}
		if _, err := ask(conn, "hello"); err != nil {
			return err
		}
		if err := conn.WriteClose(websocket.CloseNormal, ""); err != nil {
			return err
		}
		if code := closeCode(conn); code != websocket.CloseNormal {
			return fmt.Errorf("closed with %d", code)
		}
		return c.Close()
	})
	a.say("entered", entered.of(0))
	return err
}
