package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/sluicegate/sluice/internal/load"
)

// A progress is how far a run is: one line that changes on a terminal, one more
// each second elsewhere.
type progress struct {
	w        io.Writer
	terminal bool
	last     time.Duration
}

func newProgress(w io.Writer) *progress {
	p := &progress{w: w}
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return p
}

func (p *progress) show(s load.Second) {
	line := fmt.Sprintf("%4.0f s  %9.0f/s  p50 %v  p99 %v", s.At.Seconds(), float64(s.Operations)/(s.At-p.last).Seconds(),
		s.P50.Round(time.Microsecond), s.P99.Round(time.Microsecond))
	p.last = s.At
	if p.terminal {
		fmt.Fprintf(p.w, "\r%s\x1b[K", line) // to the end of the line
	} else {
		fmt.Fprintln(p.w, line)
	}
}

// end clears the line for what comes next.
func (p *progress) end() {
	if p.terminal && p.last > 0 {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
