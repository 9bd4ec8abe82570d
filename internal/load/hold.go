package load

import "context"

// hold is idle clients.
type hold struct{ r *run }

func (hold) prepare(context.Context) error { return nil }

func (hold) play(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

func (hold) counts() []Count { return nil }
