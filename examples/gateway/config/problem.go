package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	// File and Line say where. They are empty for flags and the environment.
	File string
	Line int
	// Subject is the key, "flag -" or "variable " and a name, or empty where
	// a file is not TOML.
	Subject string
	// Text says what is wrong and what would be right.
	Text string

	rank int // files go first, then the environment, then flags
}

// Error implements error. Editors find the place by the beginning.
func (p Problem) Error() string {
	s := p.Text
	if p.Subject != "" {
		s = p.Subject + " " + s
	}
	switch {
	case p.Line > 0:
		return fmt.Sprintf("%s:%d: %s", p.File, p.Line, s)
	case p.File != "":
		return p.File + ": " + s
	}
	return s
}

// Problems is the error of a configuration: everything that is wrong with it,
// the file first and in the order of its lines.
type Problems []Problem

// Error implements error, with a line for each problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the problems one by one.
func (p Problems) Unwrap() []error {
	errs := make([]error, len(p))
	for i, one := range p {
		errs[i] = one
	}
	return errs
}

// sort puts the problems into the order in which they are reported.
func (p Problems) sort() {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.Line, b.Line))
	})
}

// source is where the value of a key comes from. The zero source is the
// default.
type source struct {
	file string
	line int
	rank int
	name string // of the flag or variable
}

const (
	rankFile = iota
	rankVariable
	rankFlag
)

// problem returns a problem of key, whose value comes from s.
func (s source) problem(key, text string) Problem {
	p := Problem{File: s.file, Line: s.line, Subject: key, Text: text, rank: s.rank}
	switch s.rank {
	case rankVariable:
		p.Subject = "variable " + s.name
	case rankFlag:
		p.Subject = "flag -" + s.name
	}
	return p
}

// place says where s is, for a problem of another key.
func (s source) place() string {
	switch {
	case s.rank == rankVariable:
		return "variable " + s.name
	case s.rank == rankFlag:
		return "flag -" + s.name
	case s.line > 0:
		return fmt.Sprintf("line %d", s.line)
	default:
		return "by default"
	}
}
