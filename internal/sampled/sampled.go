// Package sampled bounds how often one thing is logged that others can have happen
// as often as they like, and counts what is left out.
//
//	if n, ok := g.refused.Next(); ok {
//		g.log.Info("handshake refused", "error", err, "suppressed", n)
//	}
package sampled

import (
	"sync"
	"time"
)

const (
	// defaultBurst and defaultEvery are what an Event's zero values mean.
	defaultBurst = 5
	defaultEvery = time.Second
)

// An Event decides about the records of one event: the first few are written, then
// one a second, and after a quiet time the first few again. Its zero value is ready.
// Its methods may be called on any goroutine; it must not be copied after the
// first call, and its fields not changed.
type Event struct {
	// Burst is how many records may follow each other at once. Zero means 5.
	Burst int
	// Every is the time from one record to the next after that. Zero means a
	// second.
	Every time.Duration

	mu         sync.Mutex
	full       time.Time // when the whole Burst may be written again
	suppressed int64
}

// Next reports whether a record may be written now. If so, suppressed is how many
// were not since the last one that was, and belongs into the record.
func (e *Event) Next() (suppressed int64, ok bool) { return e.At(time.Now()) }

// At is Next for a clock of the caller's own.
func (e *Event) At(now time.Time) (suppressed int64, ok bool) {
	burst, every := e.Burst, e.Every
	if burst <= 0 {
		burst = defaultBurst
	}
	if every <= 0 {
		every = defaultEvery
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.full.Sub(now) > time.Duration(burst-1)*every {
		e.suppressed++
		return 0, false
	}
	if e.full.Before(now) {
		e.full = now
	}
	e.full = e.full.Add(every)
	suppressed, e.suppressed = e.suppressed, 0
	return suppressed, true
}

// Unwritten takes back what Next has returned with true, when the record was not
// written after all: the next one tells of it.
func (e *Event) Unwritten(suppressed int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.suppressed += suppressed + 1
}

// maxNames bounds what Events keeps. More names than that would be a mistake, and
// the rest of them share an Event.
const maxNames = 64

// Events is an Event for each of a few names, so that one which happens all the
// time does not hide another. Its zero value is ready, and its methods may be
// called on any goroutine.
type Events struct {
	mu     sync.Mutex
	byName map[string]*Event
	rest   Event
}

// Of returns the Event of a name, which should be a constant.
func (es *Events) Of(name string) *Event {
	es.mu.Lock()
	defer es.mu.Unlock()
	e := es.byName[name]
	switch {
	case e != nil:
	case len(es.byName) >= maxNames:
		e = &es.rest
	default:
		if es.byName == nil {
			es.byName = make(map[string]*Event)
		}
		e = new(Event)
		es.byName[name] = e
	}
	return e
}
