// Package report makes one table of what runs have measured.
package report

import (
	"maps"
	"slices"
)

// A Stat sums up the rounds of one figure.
type Stat struct {
	Median float64 `json:"median"` // the mean of the two in the middle, if there are two
	Least  float64 `json:"least"`  // of a round
	Most   float64 `json:"most"`   // of a round
}

// stat is nil if there are no values.
func stat(values []float64) *Stat {
	if len(values) == 0 {
		return nil
	}
	s := slices.Sorted(slices.Values(values))
	mid := len(s) / 2
	median := s[mid]
	if len(s)%2 == 0 {
		median = (s[mid-1] + s[mid]) / 2
	}
	return &Stat{Median: median, Least: s[0], Most: s[len(s)-1]}
}

// series are a figure's values by round.
type series map[int]float64

func (s series) stat() *Stat {
	return stat(slices.Collect(maps.Values(s)))
}

// over divides by base round by round: only what was measured in one round can be
// compared, since the machine's speed changes.
func (s series) over(base series) series {
	ratios := make(series)
	for round, v := range s {
		if b, ok := base[round]; ok && b > 0 {
			ratios[round] = v / b
		}
	}
	return ratios
}
