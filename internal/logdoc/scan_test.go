package logdoc

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"strconv"
	"strings"
)

// An event is what the code logs under one name.
type event struct {
	at     token.Position // the first call
	levels map[string]bool
	attrs  map[string]bool
}

// A scanner finds the calls of loggers in files. It goes by names: a logger is
// called log or Logger, or is the package slog, and whatever looks like a call of
// one under another name is a finding, so that none is missed.
type scanner struct {
	fset     *token.FileSet
	events   map[string]*event
	findings []string
}

// levels are the methods of a slog.Logger that take a message, and what they log
// at. Those of no level take one.
func levels() map[string]string {
	return map[string]string{
		"Debug": "debug", "DebugContext": "debug", "Info": "info", "InfoContext": "info",
		"Warn": "warn", "WarnContext": "warn", "Error": "error", "ErrorContext": "error",
		"Log": "", "LogAttrs": "",
	}
}

// sharedNames are methods that others than loggers have too.
func sharedNames() map[string]bool { return map[string]bool{"Info": true, "Error": true, "Log": true} }

var (
	eventName = regexp.MustCompile(`^[a-z]+( [a-z]+){0,5}$`)
	attrName  = regexp.MustCompile(`^[a-z]+([A-Z][a-z]+)*$`)
)

func (s *scanner) report(at ast.Node, format string, args ...any) {
	s.findings = append(s.findings, fmt.Sprintf("%s: %s", s.fset.Position(at.Pos()), fmt.Sprintf(format, args...)))
}

func (s *scanner) file(f *ast.File) {
	called := make(map[*ast.SelectorExpr]bool)
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if sel, ok := n.Fun.(*ast.SelectorExpr); ok {
				called[sel] = true
				s.call(n, sel)
			}
		case *ast.SelectorExpr:
			if _, ok := levels()[n.Sel.Name]; ok && !called[n] && isLogger(n.X) {
				s.report(n, "%s is not called at once, so that nobody can see what it logs", n.Sel.Name)
			}
		}
		return true
	})
}

// isLogger reports whether an expression is a logger, by its name.
func isLogger(e ast.Expr) bool {
	switch name(e) {
	case "log", "Logger", "slog":
		return true
	}
	return false
}

// name is the last name in an expression such as h.cfg.Logger.
func name(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	case *ast.ParenExpr:
		return name(e.X)
	}
	return ""
}

func (s *scanner) call(c *ast.CallExpr, sel *ast.SelectorExpr) {
	method := sel.Sel.Name
	level, logs := levels()[method]
	switch {
	case name(sel.X) == "slog" && method == "NewLogLogger":
		s.report(c, "the lines of a NewLogLogger are no events; see sampled.ErrorLog")
	case name(sel.X) == "log" && (strings.HasPrefix(method, "Print") || strings.HasPrefix(method, "Fatal") || strings.HasPrefix(method, "Panic")):
		s.report(c, "package log knows no events; use a slog.Logger")
	case isLogger(sel.X) && (method == "With" || method == "WithGroup"):
		s.report(c, "%s hides attributes; write them where the event is", method)
	case !logs:
	case isLogger(sel.X):
		s.record(c, method, level)
	case sharedNames()[method] && (len(c.Args) == 0 || text(c.Args[0]) == "" || isTest(sel.X)):
		// Of something else.
	default:
		s.report(c, "looks like a logger that is not called log; call it that, or nothing sees what it logs")
	}
}

// isTest reports whether an expression is a testing.TB, as test kits have them.
func isTest(e ast.Expr) bool {
	switch name(e) {
	case "t", "tb", "b":
		return true
	}
	return false
}

// text returns the value of a string literal, or nothing.
func text(e ast.Expr) string {
	if l, ok := e.(*ast.BasicLit); ok && l.Kind == token.STRING {
		s, _ := strconv.Unquote(l.Value) // the parser has seen to it
		return s
	}
	return ""
}

// record takes one call that logs.
func (s *scanner) record(c *ast.CallExpr, method, level string) {
	args := c.Args
	if strings.HasSuffix(method, "Context") {
		args = args[1:]
	} else if level == "" {
		args = args[2:] // the context and the level
	}
	event := text(args[0])
	if event == "" {
		s.report(c, "the event's name is not a constant text")
		return
	}
	if !eventName.MatchString(event) {
		s.report(c, "%q is no name for an event: it has one to six words in lower case, and nothing else", event)
	}
	e := s.events[event]
	if e == nil {
		e = newEvent()
		e.at = s.fset.Position(c.Pos())
		s.events[event] = e
	}
	if level != "" {
		e.levels[level] = true
	}
	if c.Ellipsis.IsValid() {
		s.report(c, "%q has attributes that cannot be seen; write them out", event)
		return
	}
	for rest := args[1:]; len(rest) > 0; {
		key := text(rest[0])
		if a, ok := rest[0].(*ast.CallExpr); ok && len(a.Args) > 0 { // as in slog.Int("key", 1)
			key, rest = text(a.Args[0]), rest[1:]
		} else {
			rest = rest[min(2, len(rest)):]
		}
		if !attrName.MatchString(key) {
			s.report(c, "%q has an attribute that is no constant name such as uniqId: %q", event, key)
			continue
		}
		e.attrs[key] = true
	}
}

func newEvent() *event { return &event{levels: make(map[string]bool), attrs: make(map[string]bool)} }
