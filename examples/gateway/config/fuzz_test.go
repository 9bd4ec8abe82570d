package config

import (
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
)

// FuzzLoad has errors always say where, never panics, and prints what it has
// accepted in a form that means the same.
func FuzzLoad(f *testing.F) {
	existing, err := os.ReadFile("testdata/existing.toml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(existing, "", "")
	f.Add([]byte(Default().TOML()), "CUSTOMER_MULTICORE=5", "7s")
	f.Add([]byte("Limit = { OnOpen = -1,\n'x' = [1, 2] }\n[Customer\na=1\n[[Worker]]"), "=", "x")
	f.Add([]byte("a = [1,\n[Task]\nListenAddress = '''\n'''\nLimit.OnOpen = 1e3"), "METRICS_ITEM=1,2", "")
	f.Fuzz(func(t *testing.T, file []byte, variable, interval string) {
		flags := &Flags{set: []setting{{"Customer.HeartbeatInterval", interval}}}
		lines := strings.Count(string(file), "\n") + 1
		cfg, err := load("f.toml", file, []string{variablePrefix + variable}, flags)
		if err == nil {
			again, err := load("printed.toml", []byte(cfg.TOML()), nil, nil)
			if err != nil || !reflect.DeepEqual(again, cfg) {
				t.Fatalf("%v\nprinted %+v\n    was %+v", err, again, cfg)
			}
			return
		}
		var problems Problems
		if !errors.As(err, &problems) || len(problems) == 0 {
			t.Fatalf("a %T: %v", err, err)
		}
		last := 0
		for _, p := range problems {
			switch {
			case p.rank == rankFile && (p.Line < max(1, last) || p.Line > lines):
				t.Errorf("line %d after line %d, of %d: %v", p.Line, last, lines, p)
			case p.rank != rankFile && p.Subject == "":
				t.Errorf("no name: %v", p)
			case p.Text == "" || strings.ContainsAny(p.Error(), "\n\x00"):
				t.Errorf("unclear: %q", p.Error())
			}
			last = max(last, p.Line)
		}
	})
}
