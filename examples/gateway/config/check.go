package config

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// What a check tag may say besides alternatives, as in "debug|info", and
// bounds, as in "1..13" or "1ms..".
const (
	anyText     = "text"
	address     = "address" // host:port
	addressOpt  = "address?"
	httpURLOpt  = "url?"
	requestPath = "path"
	origins     = "origins"
	ipv4Opt     = "ipv4?"     // IPv4:port
	businessOpt = "business?" // host:port, on this computer without a host
	networks    = "networks"
	trusted     = "trusted" // networks, not all of them
	natsServers = "nats"
	clusterName = "cluster"
	secretOpt   = "secret?" // is never shown
	yesOrNo     = "bool"
)

// maxInt bounds numbers whose tag names no upper bound.
const maxInt = math.MaxInt32

// check says which values are right.
type check struct {
	name     string               // one of the constants above, or ""
	oneOf    []string             // not empty: the right texts
	min, max int64                // of int, []int and time.Duration
	kind     reflect.Type         // of the field
	judges   func(s string) error // of a text, or of each in a list; may be nil
}

// newCheck reads a tag. The tags are part of the program: it panics if one is
// wrong.
func newCheck(kind reflect.Type, tag string) check {
	c := check{kind: kind, max: maxInt}
	lo, hi, isRange := strings.Cut(tag, "..")
	switch {
	case isRange:
		bound := func(s string) int64 {
			n, err := strconv.ParseInt(s, 10, 64)
			if kind == reflect.TypeFor[time.Duration]() {
				var d time.Duration
				d, err = time.ParseDuration(s)
				n = int64(d)
			}
			if err != nil {
				panic(err)
			}
			return n
		}
		c.min = bound(lo)
		if hi != "" {
			c.max = bound(hi)
		} else if kind == reflect.TypeFor[time.Duration]() {
			c.max = int64(maxDuration)
		}
	case strings.Contains(tag, "|"):
		c.oneOf = strings.Split(tag, "|")
	default:
		c.name = tag
		c.judges = judgeOf(tag)
	}
	return c
}

// maxDuration keeps sums of durations from overflowing.
const maxDuration = 365 * 24 * time.Hour

// judge returns nil if v, of the field's type, is right. inFile has it speak
// the language of TOML.
func (c check) judge(v any, inFile bool) error {
	switch v := v.(type) {
	case int:
		if int64(v) < c.min || int64(v) > c.max {
			return c.wrong("is "+strconv.Itoa(v), inFile)
		}
	case time.Duration:
		if int64(v) < c.min || int64(v) > c.max {
			return c.wrong("is "+quote(formatDuration(v)), inFile)
		}
	case []int:
		for _, n := range v {
			if int64(n) < c.min || int64(n) > c.max {
				return c.wrong("has "+strconv.Itoa(n)+" in it", inFile)
			}
		}
	case string:
		return c.judgeText(v, inFile)
	case []string:
		for _, s := range v {
			if err := c.judgeText(s, inFile); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c check) judgeText(s string, inFile bool) error {
	if c.name == secretOpt {
		return judgeSecret(s)
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("is %s, which is not UTF-8; write it in UTF-8", quote(s))
	}
	if c.oneOf != nil && !slices.Contains(c.oneOf, s) {
		return c.wrong("is "+quote(s), inFile)
	}
	if c.judges == nil {
		return nil
	}
	if err := c.judges(s); err != nil {
		verb := "is "
		if c.kind.Kind() == reflect.Slice {
			verb = "has "
		}
		return fmt.Errorf("%s%s: %w", verb, c.quote(s), err)
	}
	return nil
}

// wrong returns the error "what; use" what is right.
func (c check) wrong(what string, inFile bool) error {
	return errors.New(what + "; use " + c.want(inFile))
}

// describe shows a value of a file that is of the wrong type.
func (c check) describe(v any) string {
	if c.name == secretOpt {
		return "not a text"
	}
	if s, ok := v.(string); ok {
		return "the text " + c.quote(s)
	}
	return describe(v)
}

// quote shows a text, without the password that it may have in it.
func (c check) quote(s string) string {
	if at := strings.LastIndexByte(s, '@'); at >= 0 && c.name == natsServers {
		s = "***" + s[at:]
	}
	return quote(s)
}

// want says what is right.
func (c check) want(inFile bool) string {
	switch {
	case c.oneOf != nil:
		var q []string
		for _, s := range c.oneOf {
			q = append(q, quote(s))
		}
		return strings.Join(q[:len(q)-1], ", ") + " or " + q[len(q)-1]
	case c.kind == reflect.TypeFor[time.Duration]():
		s := "a duration such as \"120s\" or \"1m30s\""
		if inFile {
			s = "a duration in quotes, such as \"120s\" or \"1m30s\""
		}
		return fmt.Sprintf("%s, from %s to %.0fh", s, formatDuration(time.Duration(c.min)), maxDuration.Hours())
	case c.kind == reflect.TypeFor[int]():
		return fmt.Sprintf("a whole number from %d to %d", c.min, c.max)
	case c.kind == reflect.TypeFor[[]int]():
		if inFile {
			return fmt.Sprintf("a list of whole numbers from %d to %d, such as [%d, %d]", c.min, c.max, c.min, c.min+1)
		}
		return fmt.Sprintf("whole numbers from %d to %d with commas between them, such as %d,%d", c.min, c.max, c.min, c.min+1)
	case c.name == networks, c.name == trusted:
		return "a list of networks, such as [\"10.0.0.0/8\"]"
	case c.name == natsServers:
		return "a list of addresses, such as [\"nats://10.0.0.9:4222\"]"
	case c.kind == reflect.TypeFor[[]string]():
		return "a list of texts, such as [\"https://example.com\"]"
	case c.name == yesOrNo:
		return "true or false"
	default:
		return "a text in quotes"
	}
}

// quote shows a stranger's text, not all of it if it is long.
func quote(s string) string {
	const most = 60
	if len(s) > most {
		return strconv.Quote(s[:most]) + "…"
	}
	return strconv.Quote(s)
}

// describe shows a value of a file that is of the wrong type.
func describe(v any) string {
	switch v := v.(type) {
	case string:
		return "the text " + quote(v)
	case int64:
		return fmt.Sprintf("the number %d", v)
	case float64:
		return fmt.Sprintf("the number %v", v)
	case bool:
		return fmt.Sprint(v)
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	default:
		return "a date or time"
	}
}
