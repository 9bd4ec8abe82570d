package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/sluicegate/sluice/internal/load"
	"github.com/sluicegate/sluice/internal/load/report"
)

// write writes the result wherever the flags say.
func (o *options) write(r *load.Result, stdout io.Writer) error {
	var err error
	if o.json == "-" {
		err = report.JSON(stdout, r)
	} else {
		err = report.Table(stdout, r)
		if o.json != "" {
			err = errors.Join(err, toFile(o.json, r, report.JSON))
		}
	}
	return err
}

func toFile(name string, r *load.Result, write func(io.Writer, *load.Result) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(write(f, r), f.Close())
}

// progress returns what shows a run's progress: one line that changes on a
// terminal, one more each second elsewhere.
func progress(w io.Writer, c load.Config) func(load.Second) {
	return func(s load.Second) {
		fmt.Fprintf(w, "%4.0f s  %d operations, p50 %v, p99 %v\n", s.At.Seconds(), s.Operations, s.P50.Round(time.Microsecond), s.P99.Round(time.Microsecond))
	}
}
