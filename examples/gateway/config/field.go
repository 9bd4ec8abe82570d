package config

import (
	"reflect"
	"strconv"
	"strings"
	"time"
)

// field is one key: its place in a Config and what its tags say.
type field struct {
	key        string // "Customer.ListenAddress"
	help       string
	def        string // the default as text
	hasDefault bool
	check      check
	reload     string // when it can change while the gateway runs: see below
	at         reflect.Value
}

// fieldsOf returns the keys of c in the order of the struct, those outside of
// sections first.
func fieldsOf(c *Config) []field {
	var plain, inSections []field
	root := reflect.ValueOf(c).Elem()
	for i := range root.NumField() {
		sf, v := root.Type().Field(i), root.Field(i)
		if sf.Type.Kind() != reflect.Struct {
			plain = append(plain, newField("", sf, v))
			continue
		}
		for j := range v.NumField() {
			inSections = append(inSections, newField(sf.Name+".", sf.Type.Field(j), v.Field(j)))
		}
	}
	return append(plain, inSections...)
}

func newField(prefix string, sf reflect.StructField, at reflect.Value) field {
	f := field{key: prefix + sf.Name, help: sf.Tag.Get("help"), at: at}
	f.def, f.hasDefault = sf.Tag.Lookup("default")
	f.check = newCheck(sf.Type, sf.Tag.Get("check"))
	f.reload = sf.Tag.Get("reload")
	switch f.reload {
	case reloadYes, reloadSet, reloadNo:
	default:
		panic("unknown reload " + strconv.Quote(f.reload)) // the tags are part of the program
	}
	return f
}

// sections returns the names of the sections and their meanings.
func sections() (names, helps []string) {
	t := reflect.TypeFor[Config]()
	for i := range t.NumField() {
		if sf := t.Field(i); sf.Type.Kind() == reflect.Struct {
			names, helps = append(names, sf.Name), append(helps, sf.Tag.Get("help"))
		}
	}
	return names, helps
}

// meaning returns what the key means, and whether it can change.
func (f field) meaning() string {
	switch f.reload {
	case reloadYes:
		return f.help + "; changes on SIGHUP"
	case reloadSet:
		return f.help + "; changes on SIGHUP, but not from or to none"
	}
	return f.help
}

// section returns what stands before the dot.
func (f field) section() string {
	s, _, ok := strings.Cut(f.key, ".")
	if !ok {
		return ""
	}
	return s
}

// name returns what stands after the dot.
func (f field) name() string { return f.key[strings.LastIndexByte(f.key, '.')+1:] }

// variable returns the name of the key's environment variable.
func (f field) variable() string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(f.key, ".", "_"))
}

// store sets the value, which parse or convert has returned.
func (f field) store(v any) { f.at.Set(reflect.ValueOf(v)) }

// value returns the value: a string, bool, int, time.Duration, []string or []int.
func (f field) value() any { return f.at.Interface() }

// parse returns the value that text from a flag or the environment means.
// Lists are separated by commas.
func (f field) parse(text string) (any, error) {
	var v any = text
	var err error
	switch f.at.Interface().(type) {
	case int:
		v, err = strconv.Atoi(text)
	case bool:
		if text != "true" && text != "false" {
			err = strconv.ErrSyntax
		}
		v = text == "true"
	case time.Duration:
		v, err = time.ParseDuration(text)
	case []string:
		v = splitList(text)
		if f.check.name == origins && text == "" {
			// Any origin is for those who ask for it by name.
			return []string(nil), nil
		}
	case []int:
		list := []int{}
		for _, s := range splitList(text) {
			var n int
			if n, err = strconv.Atoi(s); err != nil {
				break
			}
			list = append(list, n)
		}
		v = list
	}
	if err != nil {
		return nil, f.check.wrong("is "+quote(text), false)
	}
	return v, f.check.judge(v, false)
}

func splitList(text string) []string {
	list := []string{}
	for s := range strings.SplitSeq(text, ",") {
		if s = strings.TrimSpace(s); s != "" || strings.TrimSpace(text) != "" {
			list = append(list, s)
		}
	}
	return list
}

// convert returns the value that v, decoded from a file, means.
func (f field) convert(v any) (any, error) {
	switch f.at.Interface().(type) {
	case string:
		if s, ok := v.(string); ok {
			return s, f.check.judge(s, true)
		}
	case bool:
		if b, ok := v.(bool); ok {
			return b, nil
		}
	case int:
		if n, ok := v.(int64); ok {
			if int64(int(n)) == n {
				return int(n), f.check.judge(int(n), true)
			}
		}
	case time.Duration:
		if s, ok := v.(string); ok {
			d, err := time.ParseDuration(s)
			if err != nil {
				return nil, f.check.wrong("is "+quote(s), true)
			}
			return d, f.check.judge(d, true)
		}
	case []string:
		if items, ok := v.([]any); ok {
			list, bad := listOf(items, func(s string) (string, bool) { return s, true })
			if bad >= 0 {
				return nil, f.check.wrong("has "+describe(items[bad])+" in it", true)
			}
			return list, f.check.judge(list, true)
		}
	case []int:
		if items, ok := v.([]any); ok {
			list, bad := listOf(items, func(n int64) (int, bool) { return int(n), int64(int(n)) == n })
			if bad >= 0 {
				return nil, f.check.wrong("has "+describe(items[bad])+" in it", true)
			}
			return list, f.check.judge(list, true)
		}
	}
	return nil, f.check.wrong("is "+f.check.describe(v), true)
}

// listOf converts items. bad is the index of the first that is of another
// type, or -1.
func listOf[From, To any](items []any, to func(From) (To, bool)) (list []To, bad int) {
	list = make([]To, 0, len(items))
	for i, item := range items {
		from, ok := item.(From)
		if !ok {
			return nil, i
		}
		v, ok := to(from)
		if !ok {
			return nil, i
		}
		list = append(list, v)
	}
	return list, -1
}

// formatDuration writes whole seconds as such: "120s", where the standard
// library has "2m0s".
func formatDuration(d time.Duration) string {
	if d%time.Second == 0 {
		return strconv.FormatInt(int64(d/time.Second), 10) + "s"
	}
	return d.String()
}
