package report

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/sluicegate/sluice/internal/load"
)

// The size of a plot's picture, and of the part of it within the axes.
const (
	plotWidth, plotHeight = 400.0, 236.0
	plotLeft, plotRight   = 46.0, 374.0
	plotTop, plotBottom   = 12.0, 200.0
	mostTicks             = 5
)

// A plot is lines over an axis.
type plot struct {
	Title, Unit string // what its lines are, and in what
	Below       string // what the lower axis is
	X, Y        []tick
	Lines       []line
}

// A line is one of them.
type line struct {
	Name, Path string
}

// shortStep is how many seconds a step must take for its rates to say something.
const shortStep = 0.25

// plots are what there is to draw of r.
func plots(whole *load.Result) (all []plot) {
	r := new(*whole)
	for last := len(r.Series) - 1; last > 0 && (length(r, last) < shortStep || r.Series[last-1].At >= r.Took); last-- {
		r.Series = r.Series[:last] // after the end of what was measured, all but waits
	}
	if len(r.Series) > 1 && r.Operation != "" {
		all = append(all, rates(r), percentiles(r))
	}
	if p, ok := distribution(r); ok {
		all = append(all, p)
	}
	if len(r.Series) > 1 && r.Server != nil {
		all = append(all, cpu(r), memory(r))
	}
	return all
}

func overTime(r *load.Result) axis {
	return exactAxis(r.Series[len(r.Series)-1].At.Seconds(), plotLeft, plotRight, mostTicks, short)
}

// series draws lines of a value at each step, each step as what it is from its
// beginning to its end.
func series(r *load.Result, title, unit string, label func(float64) string, names []string, value func(i, step int) float64) plot {
	high := 0.0
	for i := range names {
		for step := range r.Series {
			high = math.Max(high, value(i, step))
		}
	}
	x, y := overTime(r), newAxis(high, plotBottom, plotTop, mostTicks, label)
	p := plot{Title: title, Unit: unit, Below: "seconds", X: x.ticks, Y: y.ticks}
	for i, name := range names {
		var points []string
		for step, s := range r.Series {
			from := time.Duration(0)
			if step > 0 {
				from = r.Series[step-1].At
			}
			points = append(points, point(x.at((from+s.At).Seconds()/2), y.at(value(i, step))))
		}
		p.Lines = append(p.Lines, line{name, "M" + strings.Join(points, "L")})
	}
	return p
}

func point(x, y float64) string { return fmt.Sprintf("%.1f,%.1f", x, y) }

// length is how long a step took, in seconds.
func length(r *load.Result, step int) float64 {
	from := time.Duration(0)
	if step > 0 {
		from = r.Series[step-1].At
	}
	return max(time.Millisecond, r.Series[step].At-from).Seconds()
}

func rates(r *load.Result) plot {
	return series(r, "Rate", plural(r.Operation, "")+" per second", short, []string{"rate"}, func(_, step int) float64 {
		return float64(r.Series[step].Operations) / length(r, step)
	})
}

func percentiles(r *load.Result) plot {
	of := func(i, step int) time.Duration {
		s := r.Series[step]
		return []time.Duration{s.P50, s.P90, s.P99, s.Max}[i]
	}
	var high time.Duration
	for step := range r.Series {
		high = max(high, of(3, step))
	}
	unit, name := timeUnit(high)
	return series(r, "Latency over time", name, short, []string{"p50", "p90", "p99", "max"}, func(i, step int) float64 {
		return float64(of(i, step)) / float64(unit)
	})
}

// timeUnit is the unit in which times up to high are read best.
func timeUnit(high time.Duration) (unit time.Duration, name string) {
	switch {
	case high < 2*time.Millisecond:
		return time.Microsecond, "microseconds"
	case high < 2*time.Second:
		return time.Millisecond, "milliseconds"
	}
	return time.Second, "seconds"
}

// distribution draws how long all took but for so many nines of them. Where the
// axis ends, so do the lines, though the maximum is beyond.
func distribution(r *load.Result) (p plot, ok bool) {
	var high time.Duration
	last := 0.0
	for _, l := range r.Latencies {
		for _, q := range l.Quantiles {
			if q.Q < 1 {
				high, last = max(high, q.Within), math.Max(last, nines(q.Q))
			}
		}
	}
	if high == 0 {
		return p, false
	}
	unit, name := timeUnit(high)
	x := ninesAxis(last, plotLeft, plotRight)
	y := newAxis(float64(high)/float64(unit), plotBottom, plotTop, mostTicks, short)
	p = plot{Title: "Latency distribution", Unit: name, Below: "per cent took no longer", X: x.ticks, Y: y.ticks}
	for _, l := range r.Latencies {
		var points []string
		for _, q := range l.Quantiles {
			if q.Q < 1 {
				points = append(points, point(x.at(nines(q.Q)), y.at(float64(q.Within)/float64(unit))))
			}
		}
		if len(points) > 1 {
			p.Lines = append(p.Lines, line{l.Name, "M" + strings.Join(points, "L")})
		}
	}
	return p, len(p.Lines) > 0
}

func cpu(r *load.Result) plot {
	return series(r, "Server CPU", "per cent of one CPU", short, []string{"user and system", "system"}, func(i, step int) float64 {
		used := r.Series[step].System
		if i == 0 {
			used += r.Series[step].User
		}
		return 100 * used.Seconds() / length(r, step)
	})
}

func memory(r *load.Result) plot {
	return series(r, "Server memory", "MB resident", short, []string{"memory"}, func(_, step int) float64 {
		return float64(r.Series[step].RSS) / (1 << 20)
	})
}
