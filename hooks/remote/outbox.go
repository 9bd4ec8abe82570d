package remote

import (
	"net"
	"time"
)

// record says what a packet in an outbox is.
type record struct {
	proc   *process // nil for a reply
	client *client
	kind   kind
	size   int
}

// batch is packets back to back, and what they are.
type batch struct {
	bytes   []byte
	records []record
}

// writeSize is about how much goes into one write. A peer that takes longer
// than the send deadline for that much is stuck.
const writeSize = 256 << 10

// keepSize is how much an outbox may hold on to when it is empty.
const keepSize = 512 << 10

// outbox is the packets that wait to be sent over one worker connection, in
// order. The Router's lock guards it.
type outbox struct {
	limit, limitEvents int

	waiting batch
	spare   batch // the buffers of the batch before the one under way
	unsent  int   // bytes waiting and under way
	events  int   // the same in events
	closing bool  // send what waits, then end
	broken  bool  // nothing more is sent

	wake chan struct{} // to the writer, never blocks
	room chan struct{} // closed when there is room again; nil if nobody waits
}

func newOutbox(limit, limitEvents int) outbox {
	return outbox{limit: limit, limitEvents: limitEvents, wake: make(chan struct{}, 1)}
}

// hasRoom reports whether a packet of size bytes may be added. One always may
// if nothing waits.
func (o *outbox) hasRoom(size int) bool {
	if o.unsent == 0 {
		return true
	}
	return o.unsent+size <= o.limit && (o.limitEvents == 0 || o.events < o.limitEvents)
}

// awaitRoom returns a channel that is closed when something was sent or the
// connection has ended.
func (o *outbox) awaitRoom() <-chan struct{} {
	if o.room == nil {
		o.room = make(chan struct{})
	}
	return o.room
}

func (o *outbox) signalRoom() {
	if o.room != nil {
		close(o.room)
		o.room = nil
	}
}

// add appends a packet, which is copied.
func (o *outbox) add(rec record, packet []byte) {
	o.waiting.bytes = append(o.waiting.bytes, packet...)
	o.waiting.records = append(o.waiting.records, rec)
	o.unsent += rec.size
	if rec.proc != nil {
		o.events++
	}
	o.signal()
}

func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// take returns all that waits.
func (o *outbox) take() batch {
	b := o.waiting
	o.waiting = batch{bytes: o.spare.bytes[:0], records: o.spare.records[:0]}
	o.spare = batch{}
	return b
}

// give returns the buffers of a batch for another use.
func (o *outbox) give(b batch) {
	if cap(b.bytes) <= keepSize {
		clear(b.records)
		o.spare = b
	}
}

// write sends packets, several with each write, and calls sent after each with
// the records that the socket has taken. Of a packet that was cut short nothing
// is done at the other end: it counts as not sent.
func write(conn net.Conn, deadline time.Duration, b batch, sent func([]record)) (done int, err error) {
	at := 0
	for done < len(b.records) {
		size, n := 0, 0
		for done+n < len(b.records) && (n == 0 || size+b.records[done+n].size <= writeSize) {
			size += b.records[done+n].size
			n++
		}
		if err := conn.SetWriteDeadline(time.Now().Add(deadline)); err != nil {
			return done, err
		}
		written, err := conn.Write(b.bytes[at : at+size])
		at += size
		if err != nil {
			n = 0
			for written >= b.records[done+n].size {
				written -= b.records[done+n].size
				n++
			}
		}
		sent(b.records[done : done+n])
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}
