package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sluicegate/sluice/compare/measure"
)

// Markdown writes the table.
func (t *Table) Markdown(w io.Writer) error {
	var b strings.Builder
	b.WriteString("| workload | figure |")
	for _, s := range t.Servers {
		b.WriteString(" " + strings.TrimSpace(s.Name+" "+s.Version) + " |")
		if s.Name == measure.SluiceName {
			b.WriteString(" goal |")
		}
	}
	b.WriteString("\n|" + strings.Repeat("---|", strings.Count(b.String(), "|")-1) + "\n")
	for _, r := range t.Rows {
		fmt.Fprintf(&b, "| %s | %s |", r.Title, r.Unit)
		for i, s := range t.Servers {
			b.WriteString(" " + r.Cells[i].String() + " |")
			if s.Name == measure.SluiceName {
				b.WriteString(" " + r.Goal.String() + " |")
			}
		}
		b.WriteString("\n")
	}
	if len(t.Notes) > 0 {
		b.WriteString("\n")
	}
	for i, n := range t.Notes {
		fmt.Fprintf(&b, "%d. %s\n", i+1, n)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// String is the median, in parentheses its ratio to the floor's, and in brackets
// the number of a note.
func (c Cell) String() string {
	s := "–"
	if c.Figure != nil {
		s = digits(c.Figure.Median)
	}
	if c.Ratio != nil {
		s += " (" + ratio(c.Ratio.Median) + ")"
	}
	if c.Rate != nil {
		s += fmt.Sprintf("; %s/s", measure.Thousands(int(c.Rate.Median)))
	}
	if c.P99 != nil {
		s += fmt.Sprintf(", p99 %s ms", digits(c.P99.Median*float64(time.Second)/float64(time.Millisecond)))
	}
	if c.Note > 0 {
		s += fmt.Sprintf(" [%d]", c.Note)
	}
	return s
}

// String is the limit, in parentheses if it is a ratio, and whether it was kept.
func (g *Goal) String() string {
	if g == nil {
		return ""
	}
	limit := fmt.Sprintf("≤ (%g)", g.Most)
	if g.Absolute {
		limit = fmt.Sprintf("≤ %g", g.Most)
	}
	switch {
	case g.Got == nil:
		return limit + ": not measured"
	case g.Met:
		return limit + ": met"
	}
	return limit + ": missed"
}

// digits writes v with three significant ones.
func digits(v float64) string {
	switch {
	case v >= 99.95:
		return measure.Thousands(int(v + 0.5))
	case v >= 9.995:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// ratio writes v so that a tenth of a goal shows.
func ratio(v float64) string {
	if v < 0.9995 {
		return fmt.Sprintf("%.3f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
