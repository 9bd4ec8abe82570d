//go:build unix

package attack

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/internal/wsclient"
	"github.com/sluicegate/sluice/transport/websocket"
)

// squeezed is a compressed message, in one frame.
func squeezed(data []byte) []byte {
	f := wsclient.Frame{Fin: true, RSV: 4, Op: websocket.OpBinary, Data: wsclient.Deflate(data)}
	return wsclient.AppendFrame(nil, f, [4]byte{1, 2, 3, 4})
}

// bombers is how many throw bombs at the same time.
func bombers() int { return scaled(60, 15) }

// A compressed message is inflated up to the limit and no further, in a buffer
// that a loop's clients share.
func TestDeflateBomb(t *testing.T) {
	n, bombers := scaled(600, 15), bombers()
	s := serve(t, gateway.Config{Compression: 1}, nil)
	a, b := s.attack("bombs", n), s.attack("small bombs", n)
	// A message inflated, on each of the two loops, and the bomb before it is;
	// garbage that is made while it is weighed counts as well.
	s.during("1:1000, too large", bound{heap: 2*2<<20 + int64(bombers)*256<<10, goroutines: bombers}, func() {
		a.word()
		if got := a.count("too big"); got != n {
			t.Errorf("%d bombs were answered with 1009, want %d", got, n)
		}
	})
	// Now each may also wait for its handler.
	s.during("1:1000, as large as may be", bound{heap: 2*2<<20 + int64(bombers)*2<<20, goroutines: bombers}, func() {
		b.word()
		if got := b.count("answered"); got != n {
			t.Errorf("%d messages were answered, want %d", got, n)
		}
		// What comes faster than it is handled ends the client, and what is
		// behind it is not inflated any more.
		if got := b.count("inbox full"); got > bombers {
			t.Errorf("%d of %d were closed with 1013", got, bombers)
		}
	})
	must(t, a.end())
	s.over(b)
}

func bombs(a *assault) error {
	bombers := bombers()
	bomb := squeezed(make([]byte, 100<<20))
	var got tallyOf
	err := a.each(a.n, bombers, func(int) error {
		c, err := a.open(wsclient.Request{Deflate: true})
		if err != nil {
			return err
		}
		defer drop(c)
		if !c.Deflate {
			return fmt.Errorf("no compression was agreed")
		}
		if _, err := c.Write(bomb); err != nil {
			return err
		}
		got.add(closeCode(c))
		return nil
	})
	a.say("too big", got.of(websocket.CloseMessageTooBig))
	if err != nil {
		return err
	}
	return got.rest()
}

func smallBombs(a *assault) error {
	bombers := bombers()
	data := make([]byte, websocket.DefaultMaxMessage)
	bomb, want := squeezed(data), answerTo(data)
	conns := make([]*wsclient.Conn, bombers)
	for i := range conns {
		var err error
		if conns[i], err = a.open(wsclient.Request{Deflate: true}); err != nil {
			return err
		}
	}
	var got, closed tallyOf
	if err := a.each(bombers, bombers, func(i int) error {
		c := conns[i]
		for range a.n / bombers {
			if _, err := c.Write(bomb); err != nil {
				return err
			}
			if _, answer, err := c.ReadMessage(); err != nil || !bytes.Equal(answer, want) {
				return fmt.Errorf("answered %q, %w", answer, err)
			}
			got.add(0)
		}
		return nil
	}); err != nil {
		return err
	}
	a.say("answered", got.of(0))
	many := bytes.Repeat(bomb, scaled(200, 50))
	if err := a.each(bombers, bombers, func(i int) error {
		_, _ = conns[i].Write(many) // it may be cut off before all is written
		// If all was handled in time, it is answered.
		_ = conns[i].WriteClose(websocket.CloseNormal, "")
		closed.add(closeCode(conns[i]))
		drop(conns[i])
		return nil
	}); err != nil {
		return err
	}
	a.say("inbox full", closed.of(websocket.CloseTryAgainLater))
	_, _ = closed.of(websocket.CloseNormal), closed.of(websocket.CloseAbnormal)
	return closed.rest()
}

// One client compresses each of its messages, as many as it can send, and has the
// answers compressed: the others are served as before.
func TestCompressionByOne(t *testing.T) {
	s := serve(t, gateway.Config{Compression: 6, CompressionMin: 1}, nil)
	a := s.attack("compressed", 0)
	before := s.Stats()
	s.during("all compressed", bound{heap: 8 << 20}, func() {
		a.word()
		n := a.count("messages")
		t.Logf("%d messages", n)
		if got := s.Stats().MessagesIn - before.MessagesIn; got < int64(n) {
			t.Errorf("%d messages counted of at least %d", got, n)
		}
	})
	s.over(a)
}

func compressed(a *assault) error {
	c, err := a.open(wsclient.Request{Deflate: true})
	if err != nil {
		return err
	}
	data := bytes.Repeat([]byte("compressible, up to a point; "), 70)
	const window = 200
	many, want := bytes.Repeat(squeezed(data), window), answerTo(data)
	n := 0
	for begun := time.Now(); time.Since(begun) < 2*time.Second; {
		var writing sync.WaitGroup
		writing.Go(func() { _, _ = c.Write(many) })
		for range window {
			if _, answer, err := c.ReadMessage(); err != nil || !bytes.Equal(answer, want) {
				return fmt.Errorf("message %d was answered %q, %w", n, answer, err)
			}
			n++
		}
		writing.Wait()
	}
	a.say("messages", n)
	drop(c)
	return nil
}
