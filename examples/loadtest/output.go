package main

import (
	"errors"
	"io"
	"os"

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
	if o.html != "" {
		err = errors.Join(err, toFile(o.html, r, report.HTML))
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
