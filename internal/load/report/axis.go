package report

import (
	"math"
	"strconv"
)

// A tick is a marked place on an axis.
type tick struct {
	At    float64 // in the picture
	Label string
}

// An axis maps values to places in the picture.
type axis struct {
	low, high float64 // values at its ends
	from, to  float64 // places of its ends
	ticks     []tick
}

func (a *axis) at(v float64) float64 {
	return a.from + (v-a.low)/(a.high-a.low)*(a.to-a.from)
}

// newAxis makes an axis from 0 to a round number at or above high, with at most
// most steps. label writes a tick's value.
func newAxis(high, from, to float64, most int, label func(float64) string) axis {
	if high <= 0 {
		high = 1
	}
	step := roundStep(high, most)
	steps := int(math.Ceil(high/step - 1e-9))
	a := axis{high: float64(steps) * step, from: from, to: to}
	for i := range steps + 1 {
		v := float64(i) * step
		a.ticks = append(a.ticks, tick{a.at(v), label(v)})
	}
	return a
}

// exactAxis is newAxis for one that ends at high itself.
func exactAxis(high, from, to float64, most int, label func(float64) string) axis {
	if high <= 0 {
		high = 1
	}
	step := roundStep(high, most)
	a := axis{high: high, from: from, to: to}
	for v := 0.0; v <= high*(1+1e-9); v += step {
		a.ticks = append(a.ticks, tick{a.at(v), label(v)})
	}
	return a
}

// roundStep is the least of 1, 2, 5, 10, 20 … (or a tenth, a hundredth … of them)
// that goes into high no more than most times.
func roundStep(high float64, most int) float64 {
	power := math.Pow(10, math.Floor(math.Log10(high/float64(most))))
	for _, f := range []float64{1, 2, 5} {
		if high/(f*power) <= float64(most)+1e-9 {
			return f * power
		}
	}
	return 10 * power
}

// ninesAxis is one of shares: each step is a nine more.
func ninesAxis(last float64, from, to float64) axis {
	a := axis{high: math.Max(1, last), from: from, to: to}
	for n := 0; float64(n) <= a.high+1e-9; n++ {
		a.ticks = append(a.ticks, tick{a.at(float64(n)), percent(n)})
	}
	return a
}

// nines is where a share is on a ninesAxis.
func nines(q float64) float64 { return -math.Log10(1 - q) }

// percent is the share of so many nines.
func percent(n int) string {
	switch n {
	case 0:
		return "0"
	case 1:
		return "90"
	case 2:
		return "99"
	}
	return strconv.FormatFloat(100-math.Pow(10, float64(2-n)), 'f', n-2, 64)
}

// short writes a value with a letter for its thousands.
func short(v float64) string {
	unit := ""
	switch {
	case v >= 1e6:
		v, unit = v/1e6, "M"
	case v >= 1e4:
		v, unit = v/1e3, "k"
	}
	return strconv.FormatFloat(math.Round(v*1e6)/1e6, 'f', -1, 64) + unit
}
