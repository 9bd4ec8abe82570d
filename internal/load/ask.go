package load

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/internal/load/message"
)

// askTime bounds how long preparations wait for answers.
const askTime = 30 * time.Second

// An asker is the player of a client that has asked for something.
type asker struct {
	once   sync.Once
	answer func(name string)
	done   func()
}

func (a *asker) received(_ message.Head, data []byte, _ time.Duration) {
	a.once.Do(func() {
		if a.answer != nil {
			a.answer(string(message.Name(data)))
		}
		a.done()
	})
}

func (a *asker) caughtUp() {}
func (a *asker) gone()     {}

// ask has every client ask the handler for something, and waits for the answers.
// name is what its message has as the name; answer, if not nil, is given the name in each; it is called on several
// goroutines at the same time.
func (r *run) ask(ctx context.Context, kind message.Kind, name func(*client) string, answer func(c *client, name string)) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	var left atomic.Int64
	left.Store(int64(len(r.clients)))
	all := make(chan struct{})
	for _, c := range r.clients {
		a := &asker{done: func() {
			if left.Add(-1) == 0 {
				close(all)
			}
		}}
		if answer != nil {
			a.answer = func(name string) { answer(c, name) }
		}
		c.play(a)
		data := message.Append(nil, message.Head{Kind: kind, Due: r.meter.now()}, name(c), r.cfg.Bytes)
		_ = c.send(appendFrame(nil, data)) // without an answer, an error shows below
	}
	select {
	case <-all:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("load: %d of %d clients got no answer from the handler: %w", left.Load(), len(r.clients), ctx.Err())
	}
}
