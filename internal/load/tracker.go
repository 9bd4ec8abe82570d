package load

// A tracker follows the numbers of one sender's messages as they reach one client.
// The zero value expects 0 first.
type tracker struct {
	next   uint32 // one more than the highest that has come
	recent uint64 // bit i: next-1-i has come
}

// An arrival says what a number is to its tracker.
type arrival int

const (
	inOrder    arrival = iota
	outOfOrder         // a later one has come before it
	doubled            // it has come before
)

// arrived notes that a message has come. One that is more than 64 numbers late
// cannot be told from one that came before, and counts as late.
func (t *tracker) arrived(seq uint32) arrival {
	if seq >= t.next {
		t.recent = t.recent<<(seq-t.next+1) | 1
		t.next = seq + 1
		return inOrder
	}
	behind := t.next - 1 - seq
	if behind >= 64 {
		return outOfOrder
	}
	if t.recent>>behind&1 != 0 {
		return doubled
	}
	t.recent |= 1 << behind
	return outOfOrder
}
