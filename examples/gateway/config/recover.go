package config

import (
	"bytes"
	"errors"
	"regexp"

	"github.com/pelletier/go-toml/v2/unstable"
)

// syntaxError reports what the parser cannot read and returns its line.
func (d *document) syntaxError(err error) (line int) {
	line = d.line(len(d.data))
	var pe *unstable.ParserError
	if errors.As(err, &pe) {
		if at := cap(d.data) - cap(pe.Highlight); at >= 0 && at <= len(d.data) {
			line = d.line(at)
		}
	}
	text := err.Error()
	d.add(line, "", "this is not TOML: "+text+"; write key = value, with texts, addresses and durations in quotes")
	return line
}

// resume returns where to go on after a mistake in the line, in an expression
// that begins after the offset read. What the mistake has made of the following
// lines nobody knows, so it goes on where one looks like the beginning of an
// expression.
func (d *document) resume(read, line int) int {
	first := d.line(read)
	if read > 0 && !d.lineStart(read) {
		first++ // the last good expression ends in this one
	}
	for first < line && blank(d.text(first)) {
		first++
	}
	if bytes.HasPrefix(bytes.TrimLeft(d.text(first), " \t"), []byte("[")) {
		d.skip = true // the keys that follow belong to nobody knows what
	}
	starts := regexp.MustCompile(`^[ \t]*(\[[\w. \t"'-]+\][ \t\r]*(#.*)?$|[\w.-][\w. \t-]*=)`)
	for n := first + 1; n <= len(d.lines)+1; n++ {
		if starts.Match(d.text(n)) {
			return d.offset(n)
		}
	}
	return len(d.data)
}

func blank(line []byte) bool {
	line = bytes.TrimSpace(line)
	return len(line) == 0 || line[0] == '#'
}

// text returns the line n without its end.
func (d *document) text(n int) []byte {
	end := len(d.data)
	if n-1 < len(d.lines) {
		end = d.lines[n-1]
	}
	return d.data[d.offset(n):end]
}

// offset returns where the line n begins.
func (d *document) offset(n int) int {
	if n == 1 {
		return 0
	}
	return d.lines[n-2] + 1
}

func (d *document) lineStart(offset int) bool { return d.offset(d.line(offset)) == offset }
