// Package logdoc holds what the gateway logs and docs/logs.md to each other.
package logdoc

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is the module's directory, and page what it says about its log.
const (
	root = "../.."
	page = root + "/docs/logs.md"
)

// Every event that the library and the stand-alone gateway log has a row in
// docs/logs.md, with its levels and attributes, and every attribute is spelled as
// it is there. Nothing else has a row.
func TestEveryEventIsDocumented(t *testing.T) {
	s, err := scan(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range s.findings {
		t.Error(f)
	}
	// A walk that finds nothing would find nothing wrong.
	for _, known := range []string{"client closed", "business process registered", "gateway not connected", "client turned away", "stopped"} {
		if s.events[known] == nil {
			t.Errorf("no call logs %q; does root still lead to the module?", known)
		}
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range compare(s.events, string(text)) {
		t.Error(f)
	}
}

// scan reads the files of the module, tests, their kits and examples aside; the
// stand-alone gateway is no mere example.
func scan(root string) (*scanner, error) {
	s := &scanner{fset: token.NewFileSet(), events: make(map[string]*event)}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(root, path) // of what is beneath root
		name := d.Name()
		switch {
		case err != nil:
			return err
		case d.IsDir():
			dir, of := filepath.Split(rel)
			if rel == "compare" || rel == filepath.Join("internal", "transports") || name == "testdata" || rel != "." && name[0] == '.' ||
				filepath.Clean(dir) == "examples" && of != "gateway" {
				return filepath.SkipDir
			}
			return nil
		case !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(s.fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		s.file(f)
		return nil
	})
	return s, err
}

// row is a row of the page's tables, whose first column is a name in backquotes, or
// several in the list of attributes.
var row = regexp.MustCompile("(?m)^\\| (`[^|]+`) \\| ([^|]*) \\|(?: ([^|]*) \\|)?")

// quoted is a name in backquotes.
var quoted = regexp.MustCompile("`([^`]+)`")

// compare says where events and the page differ.
func compare(events map[string]*event, page string) (findings []string) {
	report := func(format string, args ...any) { findings = append(findings, fmt.Sprintf(format, args...)) }
	before, after, ok := strings.Cut(page, "\n## Attributes\n")
	if !ok {
		return []string{"the page has no section Attributes"}
	}
	known, used := make(map[string]bool), make(map[string]bool)
	for _, r := range row.FindAllStringSubmatch(after, -1) {
		for _, a := range quoted.FindAllStringSubmatch(r[1], -1) {
			if known[a[1]] {
				report("attribute %q is in the list twice", a[1])
			}
			known[a[1]] = true
		}
	}
	documented := make(map[string]*event)
	for _, r := range row.FindAllStringSubmatch(before, -1) {
		name := strings.Trim(r[1], "`")
		if documented[name] != nil {
			report("event %q is in the tables twice", name)
		}
		e := newEvent()
		for _, level := range strings.Split(r[2], " or ") {
			e.levels[strings.TrimSpace(level)] = true
		}
		for _, a := range quoted.FindAllStringSubmatch(r[3], -1) {
			e.attrs[a[1]] = true
		}
		documented[name] = e
	}
	for _, name := range slices.Sorted(maps.Keys(events)) {
		e, d := events[name], documented[name]
		for a := range e.attrs {
			used[a] = true
			if !known[a] {
				report("%s: %q has the attribute %q, which is not in the list of the page; is there another spelling?", e.at, name, a)
			}
		}
		if d == nil {
			report("%s: the page has no event %q", e.at, name)
			continue
		}
		// Where the level is computed the page knows it alone.
		if len(e.levels) > 0 && !maps.Equal(e.levels, d.levels) {
			report("%s: %q is logged at %v, the page has %v", e.at, name, keys(e.levels), keys(d.levels))
		}
		if !maps.Equal(e.attrs, d.attrs) {
			report("%s: %q has the attributes %v, the page has %v", e.at, name, keys(e.attrs), keys(d.attrs))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(documented)) {
		if events[name] == nil {
			report("the page has the event %q, which nothing logs", name)
		}
	}
	for _, a := range slices.Sorted(maps.Keys(known)) {
		if !used[a] {
			report("the page has the attribute %q, which no event has", a)
		}
	}
	return findings
}

func keys(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }

// What the scanner and the comparison are there for is found.
func TestFindings(t *testing.T) {
	const head = "# Logs\n\n| event | level | attributes | meaning |\n|---|---|---|---|\n"
	const good = head + "| `it happens` | warn | `uniqId` | so it is |\n\n## Attributes\n\n| attribute | meaning |\n|---|---|\n| `uniqId` | whose |\n"
	for name, tt := range map[string]struct{ body, page, want string }{
		"as it should be":         {`log.Warn("it happens", "uniqId", id)`, good, ""},
		"with Attrs":              {`x.y.Logger.LogAttrs(ctx, slog.LevelWarn, "it happens", slog.String("uniqId", id))`, good, ""},
		"with a context":          {`slog.WarnContext(ctx, "it happens", "uniqId", id)`, good, ""},
		"others' methods":         {`log.Warn("it happens", "uniqId", id); _ = err.Error(); reg.Info(c); http.Error(w, "no", 400); t.Error("wrong")`, good, ""},
		"a composed message":      {`log.Warn("it "+what, "uniqId", id)`, good, "not a constant text"},
		"a message in a variable": {`log.Log(ctx, level, what, "uniqId", id)`, good, "not a constant text"},
		"a sentence":              {`log.Warn("It happens: do something", "uniqId", id)`, good, "no name for an event"},
		"missing on the page":     {`log.Warn("it happens", "uniqId", id); log.Info("nobody knows")`, good, `the page has no event "nobody knows"`},
		"only on the page":        {`log.Warn("it happens", "uniqId", id)`, strings.Replace(good, "\n\n##", "\n| `gone` | info | | gone |\n\n##", 1), `"gone", which nothing logs`},
		"twice on the page":       {`log.Warn("it happens", "uniqId", id)`, strings.Replace(good, "\n\n##", "\n| `it happens` | warn | `uniqId` | again |\n\n##", 1), "in the tables twice"},
		"another spelling":        {`log.Warn("it happens", "uniqID", id)`, good, "no constant name"},
		"an attribute of nobody":  {`log.Warn("it happens", "uniqId", id, "client", id)`, good, `"client", which is not in the list`},
		"an attribute unused":     {`log.Warn("it happens", "uniqId", id)`, good + "| `customerId` | whose |\n", `"customerId", which no event has`},
		"an attribute missing":    {`log.Warn("it happens")`, good, `has the attributes [], the page has [uniqId]`},
		"another level":           {`log.Info("it happens", "uniqId", id)`, good, "is logged at [info], the page has [warn]"},
		"attributes elsewhere":    {`log.Warn("it happens", about...)`, good, "cannot be seen"},
		"a computed key":          {`log.Warn("it happens", key, id)`, good, "no constant name"},
		"hidden attributes":       {`log.With("uniqId", id).Warn("it happens")`, good, "With hides attributes"},
		"a method's value":        {`f := log.Warn; f("it happens")`, good, "not called at once"},
		"another name":            {`journal.Warn("it happens", "uniqId", id)`, good, "not called log"},
		"another name, shared":    {`journal.Error("it happens", "uniqId", id)`, good, "not called log"},
		"a bridge":                {`s.ErrorLog = slog.NewLogLogger(h, 0)`, good, "no events"},
		"package log":             {`log.Printf("it %s", "happens")`, good, "knows no events"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &scanner{fset: token.NewFileSet(), events: make(map[string]*event)}
			f, err := parser.ParseFile(s.fset, "x.go", "package x\nfunc _() { "+tt.body+" }", parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			s.file(f)
			got := strings.Join(append(s.findings, compare(s.events, tt.page)...), "\n")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("found %q, want %q", got, tt.want)
			}
		})
	}
}
