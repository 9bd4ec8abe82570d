package load

import (
	"slices"
	"testing"
)

func TestTracker(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		seqs []uint32
		want []arrival
		next uint32
	}{
		{"one after the other", []uint32{0, 1, 2}, []arrival{inOrder, inOrder, inOrder}, 3},
		{"one missing", []uint32{0, 2}, []arrival{inOrder, inOrder}, 3},
		{"one late", []uint32{0, 2, 1, 3}, []arrival{inOrder, inOrder, outOfOrder, inOrder}, 4},
		{"one twice", []uint32{0, 1, 1, 0}, []arrival{inOrder, inOrder, doubled, doubled}, 2},
		{"late, and twice", []uint32{1, 0, 0}, []arrival{inOrder, outOfOrder, doubled}, 2},
		{"63 late", []uint32{0, 64, 1, 1}, []arrival{inOrder, inOrder, outOfOrder, doubled}, 65},
		{"later than it can tell", []uint32{0, 65, 1, 1}, []arrival{inOrder, inOrder, outOfOrder, outOfOrder}, 66},
		{"far ahead", []uint32{0, 1000, 999, 1000}, []arrival{inOrder, inOrder, outOfOrder, doubled}, 1001},
	} {
		var tr tracker
		var got []arrival
		for _, seq := range c.seqs {
			got = append(got, tr.arrived(seq))
		}
		if !slices.Equal(got, c.want) || tr.next != c.next {
			t.Errorf("%s: %v is taken as %v with %d next, want %v and %d", c.name, c.seqs, got, tr.next, c.want, c.next)
		}
	}
}
