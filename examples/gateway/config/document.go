package config

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// document reads a TOML file into the fields. The parser of go-toml tells the
// line of each key; its decoder tells what a value is.
type document struct {
	*loader
	name  string
	data  []byte
	lines []int // offsets at which lines end

	headers []string // those there are, as "[Limit]"

	table    []string       // of the last header
	skip     bool           // the last header was wrong: its keys mean nothing
	first    map[string]int // lines of the keys and [headers] so far
	problems Problems
}

func readDocument(l *loader, name string, data []byte) Problems {
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // some editors put it there
	d := &document{loader: l, name: name, data: data, first: make(map[string]int)}
	for _, s := range l.sections {
		d.headers = append(d.headers, "["+s+"]")
	}
	for i, b := range data {
		if b == '\n' {
			d.lines = append(d.lines, i)
		}
	}
	if d.parse() {
		d.checkWhole()
	}
	return d.problems
}

// parse reads one expression after the other: a header, or a key and its value.
// It reports whether all of the file is TOML. After a mistake, it goes on where
// it can.
func (d *document) parse() (ok bool) {
	ok = true
	for start := 0; start < len(d.data); {
		var p unstable.Parser
		p.Reset(d.data[start:])
		read := start // up to here
		for p.NextExpression() {
			read = start + d.expression(&p, start)
		}
		if p.Error() == nil {
			break
		}
		ok = false
		start = d.resume(read, d.syntaxError(p.Error()))
	}
	return ok
}

// expression reads one expression of a parser that began at offset start. It
// returns where the expression ends, counted from there.
func (d *document) expression(p *unstable.Parser, start int) (end int) {
	e := p.Expression()
	keys := e.Key()
	path, at, end := d.path(keys)
	line := d.line(start + at)
	if e.Kind == unstable.KeyValue {
		if !d.skip {
			d.keyValue(p, e, slices.Concat(d.table, path), path, line)
		}
		return int(e.Raw.Offset + e.Raw.Length)
	}
	d.header(path, line, e.Kind == unstable.ArrayTable)
	return end
}

// path returns the parts of a key, and where it begins and ends.
func (d *document) path(it unstable.Iterator) (path []string, begin, end int) {
	begin = -1
	for it.Next() {
		n := it.Node()
		if begin < 0 {
			begin = int(n.Raw.Offset)
		}
		end = int(n.Raw.Offset + n.Raw.Length)
		path = append(path, string(n.Data))
	}
	return path, begin, end
}

func (d *document) header(path []string, line int, array bool) {
	name := joinPath(path)
	head := "[" + name + "]"
	d.table, d.skip = path, false
	_, isKey := d.fields[name]
	switch {
	case isKey:
		d.skip = true
		where := "above all sections"
		if len(path) > 1 {
			where = "below [" + path[0] + "]"
		}
		d.add(line, head, "is a key, not a section; write "+path[len(path)-1]+" = … "+where)
		return
	case !slices.Contains(d.sections, name):
		d.skip = true
		d.add(line, head, unknown(head, d.headers))
		return
	case array:
		d.add(line, "["+head+"]", "is a list of sections; there is one only, written "+head)
		return
	}
	if was, ok := d.first[head]; ok {
		d.add(line, head, fmt.Sprintf("is there twice, first on line %d; put the keys together", was))
		return
	}
	d.first[head] = line
}

// keyValue reads a key and its value. path is the whole key, own what is
// written on this line.
func (d *document) keyValue(p *unstable.Parser, e *unstable.Node, path, own []string, line int) {
	var decoded map[string]any
	if err := toml.Unmarshal(bytes.Clone(p.Raw(e.Raw)), &decoded); err != nil {
		text, below := explain(err)
		d.add(line+below, joinPath(path), "is wrong: "+text)
		return
	}
	d.value(path, line, e.Value(), descend(decoded, own), cap(d.data)-cap(p.Data()))
}

// value reads the value v of a key. node is the same in the parser's words,
// whose offsets count from start.
func (d *document) value(path []string, line int, node *unstable.Node, v any, start int) {
	key := joinPath(path)
	if was, ok := d.first[key]; ok {
		d.add(line, key, fmt.Sprintf("is there twice, first on line %d; remove one", was))
		return
	}
	d.first[key] = line
	if f, ok := d.fields[key]; ok {
		d.set(f, source{file: d.name, line: line}, func() (any, error) { return f.convert(v) }, &d.problems)
		return
	}
	switch {
	case !slices.Contains(d.sections, key):
		d.add(line, key, unknown(key, d.keys))
	case node.Kind != unstable.InlineTable:
		d.add(line, key, "is a section; write its keys below a line ["+key+"]")
	default:
		children := node.Children()
		for children.Next() {
			child := children.Node()
			own, at, _ := d.path(child.Key())
			d.value(slices.Concat(path, own), d.line(start+at), child.Value(), descend(v, own), start)
		}
	}
}

// descend returns what stands at path in decoded tables.
func descend(v any, path []string) any {
	for _, part := range path {
		table, _ := v.(map[string]any)
		v = table[part]
	}
	return v
}

// checkWhole finds what is wrong only in the context of the file, as a table
// that is defined in two ways.
func (d *document) checkWhole() {
	var all map[string]any
	err := toml.Unmarshal(d.data, &all)
	if err == nil {
		return
	}
	text, below := explain(err)
	if !slices.ContainsFunc(d.problems, func(p Problem) bool { return p.Line == 1+below }) {
		d.add(1+below, "", text)
	}
}

// explain returns what a decoder's error says and how many lines below the
// beginning it is.
func explain(err error) (text string, below int) {
	var de *toml.DecodeError
	if errors.As(err, &de) {
		row, _ := de.Position()
		return strings.TrimPrefix(de.Error(), "toml: "), row - 1
	}
	return strings.TrimPrefix(err.Error(), "toml: "), 0
}

func (d *document) add(line int, subject, text string) {
	d.problems = append(d.problems, source{file: d.name, line: line}.problem(subject, text))
}

// line returns the line in which the offset is, counted from 1.
func (d *document) line(offset int) int {
	i, _ := slices.BinarySearch(d.lines, offset)
	return i + 1
}

// joinPath writes a key with its parts quoted where they must be.
func joinPath(path []string) string {
	parts := make([]string, len(path))
	for i, part := range path {
		if parts[i] = part; !isBare(part) {
			parts[i] = quote(part)
		}
	}
	return strings.Join(parts, ".")
}

func isBare(s string) bool {
	return s != "" && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}
