package config

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// TOML returns the configuration as a file that Load accepts, with the meaning
// of each key. A secret is left out: a comment says that there is one.
func (c Config) TOML() string {
	var b strings.Builder
	b.WriteString("# Configuration of the Sluice gateway. Every key may be left out. A flag, as\n" +
		"# -Customer.Multicore 50, or an environment variable, as\n" +
		"# SLUICE_CUSTOMER_MULTICORE=50, goes before what is written here. Send\n" +
		"# SIGHUP to a gateway that runs, and it takes over the keys that change then; the\n" +
		"# others need a restart.\n")
	names, helps := sections()
	section := ""
	for _, f := range fieldsOf(&c) {
		if s := f.section(); s != section {
			section = s
			for i, name := range names {
				if name == s {
					fmt.Fprintf(&b, "\n# %s.\n[%s]\n", sentence(helps[i]), s)
				}
			}
		}
		fmt.Fprintf(&b, "\n# %s.\n", sentence(f.meaning()))
		if list, ok := f.value().([]string); ok && list == nil {
			fmt.Fprintf(&b, "# %s = [\"https://example.com\"]\n", f.name())
			continue
		}
		if f.check.name == secretOpt && f.value() != "" {
			fmt.Fprintf(&b, "# %s = \"it is set, and not shown\"\n", f.name())
			continue
		}
		fmt.Fprintf(&b, "%s = %s\n", f.name(), tomlValue(f.value()))
	}
	return b.String()
}

// sentence begins with a capital letter.
func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func tomlValue(v any) string {
	switch v := v.(type) {
	case int:
		return strconv.Itoa(v)
	case bool:
		return strconv.FormatBool(v)
	case time.Duration:
		return tomlText(formatDuration(v))
	case string:
		return tomlText(v)
	case []string:
		return tomlList(v, tomlText)
	case []int:
		return tomlList(v, strconv.Itoa)
	default:
		panic(fmt.Sprintf("no TOML for a %T", v))
	}
}

func tomlList[T any](list []T, write func(T) string) string {
	items := make([]string, len(list))
	for i, v := range list {
		items[i] = write(v)
	}
	return "[" + strings.Join(items, ", ") + "]"
}

func tomlText(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// Help writes every flag of Flags, its default and its meaning.
func Help(w io.Writer) error {
	c := Default()
	var b strings.Builder
	section := ""
	names, helps := sections()
	for _, f := range fieldsOf(&c) {
		if s := f.section(); s != section {
			section = s
			for i, name := range names {
				if name == s {
					fmt.Fprintf(&b, "\n%s: %s\n", name, helps[i])
				}
			}
		}
		def := f.def
		if _, text := f.value().(string); text {
			def = quote(def)
		}
		if f.hasDefault {
			def = " (default " + def + ")"
		}
		fmt.Fprintf(&b, "  -%s\n    \t%s%s\n", f.key, f.meaning(), def)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
