package transport

import "slices"

// LoopStats is what a loop does now and has done so far.
type LoopStats struct {
	// Index is Loop.Index.
	Index int
	// Connections is how many connections it has, in any state.
	Connections int
	// Tasks is how many tasks wait in its mailbox. MailboxBytes is how many
	// bytes count against Options.MailboxLimit: those of these tasks, and of
	// those that it works on.
	Tasks, MailboxBytes int
	// Flushes counts its writes of messages to clients, by their bytes.
	Flushes Histogram
}

// A Histogram is how often a quantity was of what size.
type Histogram struct {
	// Bounds are the upper ends of the sizes, in ascending order. They are
	// shared and must not be changed.
	Bounds []float64
	// Counts has one number for each of Bounds, of those up to there and above
	// the bound before, and one more for those above all.
	Counts []int64
	// Sum is what all quantities together come to.
	Sum float64
}

// Count returns how many quantities there were.
func (h Histogram) Count() (n int64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// Plus returns what h and other counted together, which have the same Bounds. One of
// them may be the zero Histogram.
func (h Histogram) Plus(other Histogram) Histogram { return h.with(other, 1) }

// Since returns what h has counted since earlier, a snapshot of the same or the zero
// Histogram.
func (h Histogram) Since(earlier Histogram) Histogram { return h.with(earlier, -1) }

func (h Histogram) with(other Histogram, sign int64) Histogram {
	if len(h.Counts) == 0 {
		h.Bounds, h.Counts = other.Bounds, make([]int64, len(other.Counts))
	}
	sum := Histogram{Bounds: h.Bounds, Counts: slices.Clone(h.Counts), Sum: h.Sum + float64(sign)*other.Sum}
	for i, n := range other.Counts {
		sum.Counts[i] += sign * n
	}
	return sum
}

// Quantile returns the size that a part q of the quantities does not pass, 0.99 being
// the slowest but one in a hundred of durations. Within a bucket it takes them to be
// spread evenly; what lies above all Bounds counts as the last of these. It returns 0
// if there are none.
func (h Histogram) Quantile(q float64) float64 {
	rank, below := q*float64(h.Count()), 0.0
	if rank == 0 {
		return 0
	}
	for i, b := range h.Bounds {
		n := float64(h.Counts[i])
		if n > 0 && below+n >= rank {
			low := 0.0
			if i > 0 {
				low = h.Bounds[i-1]
			}
			return low + (b-low)*(rank-below)/n
		}
		below += n
	}
	return h.Bounds[len(h.Bounds)-1]
}
