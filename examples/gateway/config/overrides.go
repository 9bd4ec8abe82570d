package config

import (
	"flag"
	"maps"
	"regexp"
	"slices"
	"strings"
)

const (
	variablePrefix = "SLUICE_"
	// FileVariable is the environment variable that names the file.
	FileVariable = variablePrefix + "CONFIG"
)

// Flags collects what the command line sets. The zero value is ready.
type Flags struct {
	set []setting
}

type setting struct{ key, text string }

// Register adds a flag for each key to fs.
func (f *Flags) Register(fs *flag.FlagSet) {
	c := Default()
	for _, field := range fieldsOf(&c) {
		set := func(text string) error {
			// Judged by Load, with everything else.
			f.set = append(f.set, setting{field.key, text})
			return nil
		}
		if field.check.name == yesOrNo {
			fs.BoolFunc(field.key, field.help, set)
			continue
		}
		fs.Func(field.key, field.help, set)
	}
}

func (l *loader) readFlags(flags *Flags) (problems Problems) {
	if flags == nil {
		return nil
	}
	for _, s := range flags.set {
		f := l.fields[s.key]
		l.set(f, source{rank: rankFlag, name: s.key}, func() (any, error) { return f.parse(s.text) }, &problems)
	}
	return problems
}

func (l *loader) readVariables(environ []string) (problems Problems) {
	set := make(map[string]string)
	for _, e := range environ {
		if name, text, ok := strings.Cut(e, "="); ok && strings.HasPrefix(name, variablePrefix) {
			set[name] = text
		}
	}
	known := make([]string, 0, len(l.keys))
	for _, key := range l.keys {
		f := l.fields[key]
		name := f.variable()
		known = append(known, name)
		if text, ok := set[name]; ok {
			l.set(f, source{rank: rankVariable, name: name}, func() (any, error) { return f.parse(text) }, &problems)
			delete(set, name)
		}
	}
	delete(set, FileVariable)
	// What Kubernetes sets in each pod for a service named sluice or sluice-….
	ofService := regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if !ofService.MatchString(name) {
			problems = append(problems, source{rank: rankVariable, name: joinPath([]string{name})}.problem("", unknown(name, known)))
		}
	}
	return problems
}
