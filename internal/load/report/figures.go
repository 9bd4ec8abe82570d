package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sluicegate/sluice/internal/load"
)

// A figure is one result, in words.
type figure struct{ Name, Value string }

// figures are what a run is made for. What is not known is left out.
func figures(r *load.Result) (all []figure) {
	add := func(name, format string, args ...any) {
		all = append(all, figure{name, fmt.Sprintf(format, args...)})
	}
	if r.Operation != "" {
		add("rate", "%s/s (%s in %s)", plural(r.Operation, number(r.Rate())), number(float64(r.Operations)), duration(r.Took))
	}
	if each, ok := r.CPUPerOperation(); ok && r.Operation != "" {
		add("server CPU", "%s per %s (user %s, system %s)", fine(each), r.Operation, duration(r.Server.User), duration(r.Server.System))
	}
	if each, ok := r.IdleBytes(); ok {
		add("idle client", "%.2f kB of the server's memory", each/1024)
	}
	if s := r.Server; s != nil && s.RSSPeak > 0 {
		add("server memory", "%s before, %s with idle clients, %s at most, %s after", size(s.RSSBefore), size(s.RSSIdle), size(s.RSSPeak), size(s.RSSAfter))
	}
	return all
}

// plural is a number of what.
func plural(what, number string) string {
	if rest, ok := strings.CutSuffix(what, "y"); ok {
		what = rest + "ies"
	} else {
		what += "s"
	}
	return number + " " + what
}

// number writes whole numbers, with commas between thousands.
func number(v float64) string {
	s := strconv.FormatFloat(v, 'f', 0, 64)
	digits := strings.TrimPrefix(s, "-")
	var b strings.Builder
	b.WriteString(s[:len(s)-len(digits)])
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// duration writes d to three digits.
func duration(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return digits(float64(d)/1e3) + " µs"
	case d < time.Second:
		return digits(float64(d)/1e6) + " ms"
	}
	return digits(d.Seconds()) + " s"
}

// fine writes d with the nanoseconds that an average has.
func fine(d time.Duration) string { return fmt.Sprintf("%.3f µs", float64(d)/1e3) }

func digits(v float64) string {
	switch {
	case v >= 99.95:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// size writes bytes.
func size(n int64) string {
	return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
}
