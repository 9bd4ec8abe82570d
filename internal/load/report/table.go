// Package report shows the result of a load run: as a table for a terminal, as JSON
// for programs, and as a page with plots.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/sluicegate/sluice/internal/load"
)

// JSON writes r as JSON. Durations are in nanoseconds.
func JSON(w io.Writer, r *load.Result) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "\t")
	return e.Encode(r)
}

// Table writes r for people, in columns.
func Table(w io.Writer, r *load.Result) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s\t%s clients, %s\n", r.Scenario, number(float64(r.Clients)), r.Target)
	for _, f := range figures(r) {
		fmt.Fprintf(t, "%s\t%s\n", f.Name, f.Value)
	}
	for _, c := range r.Counts {
		fmt.Fprintf(t, "%s\t%s\n", c.Name, number(float64(c.N)))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if err := latencies(w, r); err != nil {
		return err
	}
	for _, n := range r.Notes {
		if _, err := fmt.Fprintln(w, "note:", n); err != nil {
			return err
		}
	}
	return nil
}

func latencies(w io.Writer, r *load.Result) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "\ntook\tp50\tp90\tp99\tp99.9\tmax\tcount\t\n")
	for _, l := range r.Latencies {
		if l.Count > 0 {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", l.Name, duration(l.P50), duration(l.P90), duration(l.P99),
				duration(l.P999), duration(l.Max), number(float64(l.Count)))
		}
	}
	return t.Flush()
}
