package transport

import "sync/atomic"

// A Budget bounds what many connections hold together, in bytes. Each accounts
// for what it holds beyond a small allowance. When the bound is passed, the loops
// close those that hold more than their fair share, until it is kept again: a
// client that asks for a little is not turned away because others hold much.
//
// Its methods may be called on any goroutine, and those that take or read on a
// nil Budget, which has no bound.
type Budget struct {
	limit   int64
	used    atomic.Int64
	holders atomic.Int64
}

// NewBudget returns a Budget of so many bytes.
func NewBudget(limit int64) *Budget { return &Budget{limit: limit} }

const (
	// budgetFree is what a connection holds before it counts, so that the many
	// that hold little cost no arithmetic that all share.
	budgetFree = 4 << 10
	// budgetStep is how finely it is counted beyond.
	budgetStep = 4 << 10
)

// Account changes what somebody has taken to what it now holds, and returns what
// to keep as taken: what it passes the next time, 0 at first. It takes the bytes
// even when the bound is passed, see Over.
func (b *Budget) Account(taken, holds int) int {
	now := 0
	if holds > budgetFree {
		now = (holds + budgetStep - 1) / budgetStep * budgetStep
	}
	if b == nil || now == taken {
		return now
	}
	b.used.Add(int64(now - taken))
	switch {
	case taken == 0:
		b.holders.Add(1)
	case now == 0:
		b.holders.Add(-1)
	}
	return now
}

// Over reports whether more is held than the bound allows.
func (b *Budget) Over() bool { return b != nil && b.used.Load() > b.limit }

// Used returns how many bytes are accounted for.
func (b *Budget) Used() int64 {
	if b == nil {
		return 0
	}
	return b.used.Load()
}

// Excess reports whether a holder of so many bytes holds much, when the bound is
// passed: more than half of what each could have. Somebody always does.
func (b *Budget) Excess(taken int) bool {
	return int64(taken)*2*max(1, b.holders.Load()) > b.limit
}
