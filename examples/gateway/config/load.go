package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// maxFile bounds the file. A larger one is something else.
const maxFile = 1 << 20

// Load returns the configuration of a file, the environment, as os.Environ has
// it, and flags. No file, and nil for the others, leaves them out. If anything
// is wrong, the error is of type Problems.
func Load(file string, environ []string, flags *Flags) (Config, error) {
	var data []byte
	if file != "" {
		var err error
		if data, err = readFile(file); err != nil {
			return Config{}, Problems{{File: file, Text: "cannot be read: " + cause(err).Error()}}
		}
	}
	return load(file, data, environ, flags)
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("it has more than %d bytes; is it the right one?", maxFile)
	}
	return data, err
}

// cause leaves out of err what the reader knows: the file's name.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

func load(file string, data []byte, environ []string, flags *Flags) (Config, error) {
	cfg := Default()
	l := newLoader(&cfg)
	problems := readDocument(l, file, data)
	problems = append(problems, l.readVariables(environ)...)
	problems = append(problems, l.readFlags(flags)...)
	problems = append(problems, l.checkTogether()...)
	if len(problems) > 0 {
		problems.sort()
		return Config{}, problems
	}
	return cfg, nil
}

// loader fills a Config and knows where its values come from.
type loader struct {
	cfg      *Config
	fields   map[string]field
	keys     []string // in order
	sections []string

	sources map[string]source
	bad     map[string]bool // keys that have a problem
}

func newLoader(cfg *Config) *loader {
	l := &loader{
		cfg: cfg, fields: make(map[string]field),
		sources: make(map[string]source), bad: make(map[string]bool),
	}
	for _, f := range fieldsOf(cfg) {
		l.fields[f.key] = f
		l.keys = append(l.keys, f.key)
	}
	l.sections, _ = sections()
	return l
}

// set gives f the value that value returns, or adds to the problems.
func (l *loader) set(f field, from source, value func() (any, error), problems *Problems) {
	l.sources[f.key] = from
	v, err := value()
	if err != nil {
		l.bad[f.key] = true
		*problems = append(*problems, from.problem(f.key, err.Error()))
		return
	}
	f.store(v)
}
