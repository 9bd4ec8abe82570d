//go:build unix

package attack

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/internal/await"
	"github.com/sluicegate/sluice/internal/wsclient"
	"github.com/sluicegate/sluice/transport/websocket"
)

// smallMessage is the MaxMessage of the tests of giants.
const smallMessage = 256 << 10

// announce is the header of a frame of so many bytes, and the first of them.
func announce(size uint64) []byte {
	h := binary.BigEndian.AppendUint64([]byte{0x82, 0xff}, size)
	return append(h, "maskfirst bytes"...)
}

// A frame is judged by its header: what is announced costs nothing, and too much
// closes the client before any of it has come. What does come is held up to the
// limit, once.
func TestGiantFrames(t *testing.T) {
	n := scaled(1000, 2)
	s := serve(t, gateway.Config{MaxMessage: smallMessage}, nil)
	announced := s.attack("giant announced", n)
	s.during("announced", bound{heap: int64(n) * 4 << 10, goroutines: 50}, func() {
		announced.word()
		if got := announced.count("too big"); got != n/4*2 {
			t.Errorf("%d were closed with 1009, want %d", got, n/4*2)
		}
		if got := announced.count("protocol error"); got != n/4 {
			t.Errorf("%d were closed with 1002, want %d", got, n/4)
		}
		if got := announced.count("waiting"); got != n/4 {
			t.Errorf("%d wait for the rest of what they have announced, want %d", got, n/4)
		}
		await.Until(t, func() string {
			if got := s.Stats().Clients; got != witnessCount+n/4 {
				return fmt.Sprintf("%d clients, want %d", got, witnessCount+n/4)
			}
			return ""
		})
	})
	must(t, announced.end())

	holders := scaled(100, 4)
	sent := s.attack("giant sent", holders)
	s.during("sent", bound{heap: int64(holders) * (smallMessage + smallMessage/4), goroutines: holders}, func() {
		sent.word()
		sent.count("holding")
		// Several samples are taken while all of it is held.
		s.watch.settle()
		sent.word()
		if got := sent.count("answered"); got != holders {
			t.Errorf("%d messages as large as they may be were answered, want %d", got, holders)
		}
		if got := sent.count("too big"); got != holders {
			t.Errorf("%d messages that are one byte too large were closed with 1009, want %d", got, holders)
		}
	})
	s.over(sent)
}

func giantAnnounced(a *assault) error {
	sizes := []uint64{1 << 62, 1 << 63, smallMessage + 1, smallMessage}
	var got tallyOf
	if err := a.each(a.n, 50, func(i int) error {
		c, err := a.open(wsclient.Request{})
		if err != nil {
			return err
		}
		size := sizes[i%len(sizes)]
		if _, err := c.Write(announce(size)); err != nil {
			return err
		}
		if size == smallMessage {
			got.add(0)
			return nil // it stays
		}
		got.add(closeCode(c))
		drop(c)
		return nil
	}); err != nil {
		return err
	}
	a.say("too big", got.of(websocket.CloseMessageTooBig))
	a.say("protocol error", got.of(websocket.CloseProtocolError))
	a.say("waiting", got.of(0))
	return errors.Join(a.await(), got.rest())
}

func giantSent(a *assault) error {
	conns := make([]*wsclient.Conn, a.n)
	data := bytes.Repeat([]byte{'x'}, smallMessage)
	whole := wsclient.AppendFrame(nil, wsclient.Frame{Fin: true, Op: websocket.OpBinary, Data: data}, [4]byte{1, 2, 3, 4})
	if err := a.each(a.n, 10, func(i int) (err error) {
		if conns[i], err = a.open(wsclient.Request{}); err != nil {
			return err
		}
		_, err = conns[i].Write(whole[:len(whole)-1])
		return err
	}); err != nil {
		return err
	}
	a.say("holding", a.n)
	if err := a.await(); err != nil {
		return err
	}
	var answered, code tallyOf
	err := a.each(a.n, 10, func(i int) error {
		c := conns[i]
		defer drop(c)
		if _, err := c.Write(whole[len(whole)-1:]); err != nil {
			return err
		}
		_, answer, err := c.ReadMessage()
		if err != nil || !bytes.Equal(answer, answerTo(data)) {
			return fmt.Errorf("answered %q, %w", answer, err)
		}
		answered.add(0)
		// One byte too many, in two pieces.
		half := wsclient.Frame{Op: websocket.OpBinary, Data: data[:smallMessage/2]}
		if err := c.WriteFrame(half); err != nil {
			return err
		}
		rest := wsclient.Frame{Fin: true, Op: websocket.OpContinuation, Data: data[:smallMessage/2+1]}
		if err := c.WriteFrame(rest); err != nil {
			return err
		}
		code.add(closeCode(c))
		return nil
	})
	a.say("answered", answered.of(0))
	a.say("too big", code.of(websocket.CloseMessageTooBig))
	return err
}

// A million fragments of one byte are one message of a million bytes, or very
// many, and not more work or memory than that.
func TestFragments(t *testing.T) {
	n := scaled(1_000_000, 10)
	s := serve(t, gateway.Config{}, nil)
	a := s.attack("fragments", n)
	before := s.Stats()
	// A message of at most 1 MiB is held while it grows, and once more when it
	// waits for its handler.
	s.during("one byte each", bound{heap: 4 << 20}, func() {
		a.word()
		a.count("as one message")
		if got := a.count("as many messages"); got != n/fragmentsEach {
			t.Errorf("%d messages of %d fragments were answered, want %d", got, fragmentsEach, n/fragmentsEach)
		}
		if got := a.count("closed"); got != websocket.CloseMessageTooBig {
			t.Errorf("fragments without end were closed with %d", got)
		}
	})
	// With the first, which tells nothing of the witnesses' messages beside it.
	if got, least := s.Stats().BytesIn-before.BytesIn, int64(2*n); got < least {
		t.Errorf("%d bytes counted of at least %d", got, least)
	}
	b := s.attack("empty fragments", n)
	s.during("none each", bound{heap: 1 << 20}, func() {
		b.word()
		b.count("answered")
	})
	must(t, a.end())
	s.over(b)
}

// fragmentsEach is how many fragments a message of the many has.
const fragmentsEach = 10

// inFragments is a message of n fragments, each with the data given.
func inFragments(n int, data []byte) []byte {
	var b []byte
	for i := range n {
		f := wsclient.Frame{Fin: i == n-1, Op: websocket.OpContinuation, Data: data}
		if i == 0 {
			f.Op = websocket.OpBinary
		}
		b = wsclient.AppendFrame(b, f, [4]byte{byte(i), 1, 2, 3})
	}
	return b
}

func fragments(a *assault) error {
	c, err := a.open(wsclient.Request{})
	if err != nil {
		return err
	}
	expect := func(data []byte) error {
		_, answer, err := c.ReadMessage()
		if err != nil || !bytes.Equal(answer, answerTo(data)) {
			return fmt.Errorf("answered %q, %w", answer, err)
		}
		return nil
	}
	if _, err := c.Write(inFragments(a.n, []byte{'f'})); err != nil {
		return err
	}
	if err := expect(bytes.Repeat([]byte{'f'}, a.n)); err != nil {
		return err
	}
	a.say("as one message", a.n)

	const window = 1000
	one, answered := inFragments(fragmentsEach, []byte{'m'}), 0
	many, want := bytes.Repeat(one, window), bytes.Repeat([]byte{'m'}, fragmentsEach)
	for ; answered < a.n/fragmentsEach; answered += window {
		if _, err := c.Write(many); err != nil {
			return err
		}
		for range window {
			if err := expect(want); err != nil {
				return err
			}
		}
	}
	a.say("as many messages", answered)

	go func() {
		endless := inFragments(64<<10, []byte{'e'})
		endless[len(endless)-7] &^= 0x80 // the last is not the last
		for {
			if _, err := c.Write(endless); err != nil {
				return
			}
			endless[0] = 0 // nor does the first begin one again
		}
	}()
	a.say("closed", closeCode(c))
	drop(c)
	return nil
}

func emptyFragments(a *assault) error {
	c, err := a.open(wsclient.Request{})
	if err != nil {
		return err
	}
	if _, err := c.Write(inFragments(a.n, nil)); err != nil {
		return err
	}
	if _, answer, err := c.ReadMessage(); err != nil || !bytes.Equal(answer, answerTo(nil)) {
		return fmt.Errorf("answered %q, %w", answer, err)
	}
	a.say("answered", a.n)
	drop(c)
	return nil
}

// Every ping is answered while its sender reads; one that does not read is a slow
// consumer like any other, and costs no more than its limit.
func TestPingFlood(t *testing.T) {
	n := scaled(500_000, 10)
	const limit = 256 << 10
	deaf := scaled(50, 10)
	s := serve(t, gateway.Config{WriteLimit: limit}, nil)
	reading, unread := s.attack("pings", n), s.attack("pings unread", deaf)
	s.during("read", bound{heap: 8 << 20}, func() {
		reading.word()
		if got := reading.count("pongs"); got != n {
			t.Errorf("%d of %d pings were answered", got, n)
		}
	})
	if got := s.Stats().Heartbeats; got != int64(n) {
		t.Errorf("%d heartbeats counted, want %d", got, n)
	}
	// Pongs are each client's own: besides their bytes, which the limit is of,
	// there is what holds them, about as much again. One write lies beneath.
	s.during("unread", bound{heap: int64(deaf) * (2*limit + 128<<10), goroutines: deaf}, func() {
		unread.word()
		await.Until(t, func() string {
			if got := s.log.of(slowConsumer, slowReason); got != deaf {
				return fmt.Sprintf("%d of %d are closed as slow consumers", got, deaf)
			}
			return ""
		})
	})
	must(t, reading.end())
	s.over(unread)
}

// pingData makes pings as long as they may be.
func pingFrames(n int) []byte {
	f := wsclient.Frame{Fin: true, Op: websocket.OpPing, Data: bytes.Repeat([]byte{'p'}, websocket.MaxControlPayload)}
	return bytes.Repeat(wsclient.AppendFrame(nil, f, [4]byte{1, 2, 3, 4}), n)
}

func pings(a *assault) error {
	c, err := a.open(wsclient.Request{})
	if err != nil {
		return err
	}
	const batch = 500 // is less than the limit
	many := pingFrames(batch)
	pongs := 0
	for pongs < a.n {
		if _, err := c.Write(many); err != nil {
			return err
		}
		for range batch {
			f, err := c.ReadFrame()
			if err != nil || f.Op != websocket.OpPong || len(f.Data) != websocket.MaxControlPayload {
				return fmt.Errorf("%v after %d pongs: %w", f.Op, pongs, err)
			}
			pongs++
		}
	}
	a.say("pongs", pongs)
	drop(c)
	return nil
}

func pingsUnread(a *assault) error {
	many := pingFrames(100)
	return a.each(a.n, a.n, func(int) error {
		c, err := a.open(wsclient.Request{}, narrow)
		if err != nil {
			return err
		}
		for {
			if n, _ := c.Write(many); n < len(many) {
				return nil // it was cut off, which is what the test waits for
			}
		}
	})
}
