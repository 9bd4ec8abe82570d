package load

import (
	"maps"
	"slices"
)

// fates says what became of so many deliveries that were due. It is for when the
// clients have left.
func (r *run) fates(due int64) []Count {
	var all tally
	for _, s := range r.meter.shards {
		all.delivered += s.tally.delivered
		all.doubled += s.tally.doubled
		all.disordered += s.tally.disordered
	}
	return []Count{
		{"sent", due}, {"delivered", all.delivered}, {"lost", due - all.delivered},
		{"doubled", all.doubled}, {"out of order", all.disordered},
	}
}

// ends says which connections the server has ended, and what clients got that is
// not the run's.
func (r *run) ends() (counts []Count) {
	for _, end := range slices.Sorted(maps.Keys(r.closed)) {
		counts = append(counts, Count{end, r.closed[end]})
	}
	if r.other > 0 {
		counts = append(counts, Count{"other messages", r.other})
	}
	return counts
}
