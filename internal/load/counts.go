package load

import (
	"fmt"
	"maps"
	"slices"
)

// fates says what became of the deliveries that were due to audiences. It is for
// when the clients have left.
func (r *run) fates(audiences ...*audience) []Count {
	var all tally
	for _, s := range r.meter.shards {
		all.delivered += s.tally.delivered
		all.doubled += s.tally.doubled
		all.disordered += s.tally.disordered
	}
	var due int64
	for _, a := range audiences {
		due += a.due
	}
	return []Count{
		{"sent", due}, {"delivered", all.delivered}, {"lost", due - all.delivered},
		{"doubled", all.doubled}, {"out of order", all.disordered},
	}
}

// ends says which connections the server has ended, and what clients got that is
// not the run's.
func (r *run) ends() (counts []Count) {
	for _, code := range slices.Sorted(maps.Keys(r.closed)) {
		counts = append(counts, Count{fmt.Sprintf("closed %d", code), r.closed[code]})
	}
	var other int64
	for _, c := range r.clients {
		other += c.other
	}
	if other > 0 {
		counts = append(counts, Count{"other messages", other})
	}
	return counts
}
