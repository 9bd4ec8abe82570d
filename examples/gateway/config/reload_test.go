package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestReload(t *testing.T) {
	const known, other = "correct horse battery staple", "another horse battery staple"
	was := Default()
	was.Worker.TLSCert, was.Worker.TLSKey = "cert", "key"
	was.Task.Secret = known
	for _, tt := range []struct {
		change func(c *Config)
		want   string // "" if nothing is to change, "restart" if it needs one
	}{
		{func(*Config) {}, "[]"},
		{func(c *Config) { c.LogLevel = "debug" }, "[{LogLevel info debug false}]"},
		{func(c *Config) { c.Limit.OnOpen, c.Limit.IPOpens = 5, 6 }, "[{Limit.OnOpen 0 5 false} {Limit.IPOpens 0 6 false}]"},
		{func(c *Config) { c.Customer.LimitWindowSize = time.Minute }, "[{Customer.LimitWindowSize 1s 60s false}]"},
		{func(c *Config) { c.Customer.AllowOrigin = []string{"a", "b"} }, "[{Customer.AllowOrigin none [a b] false}]"},
		{func(c *Config) { c.Customer.AllowOrigin = []string{} }, "[{Customer.AllowOrigin none [] false}]"},
		{func(c *Config) { c.Customer.Multicore = 7 }, "[{Customer.Multicore 100 7 true}]"},
		{func(c *Config) { c.Metrics.Item = []int{1} }, "[{Metrics.Item [1 2 3 4 5 6 7 8 9 10 11 12 13] [1] true}]"},
		{func(c *Config) { c.Worker.TLSCert = "renewed" }, "[{Worker.TLSCert cert renewed false}]"},
		{func(c *Config) { c.Worker.TLSCert, c.Worker.TLSKey = "", "" }, "[{Worker.TLSCert cert  true} {Worker.TLSKey key  true}]"},
		{func(c *Config) { c.Worker.TLSClientCA = "ca" }, "[{Worker.TLSClientCA  ca true}]"},
		{func(c *Config) { c.Task.TLSCert, c.Task.TLSKey = "c", "k" }, "[{Task.TLSCert  c true} {Task.TLSKey  k true}]"},
		{func(c *Config) { c.Task.Secret = other }, "[{Task.Secret *** *** false}]"},
		{func(c *Config) { c.Task.Secret = "" }, "[{Task.Secret ***  true}]"},
		{func(c *Config) { c.Task.Secret, c.Task.SecretFile = "", "f" }, "[{Task.Secret ***  true} {Task.SecretFile  f true}]"},
		{func(c *Config) { c.Worker.Secret = other }, "[{Worker.Secret  *** true}]"},
	} {
		next := was
		tt.change(&next)
		inForce, changes := was.Reload(next)
		if got := fmt.Sprint(changes); got != tt.want {
			t.Errorf("changes %s, want %s", got, tt.want)
		}
		want := next
		if slices.ContainsFunc(changes, func(c Change) bool { return c.Restart }) {
			want = was
		}
		if !reflect.DeepEqual(inForce, want) {
			t.Errorf("after %s, in force is %+v", tt.want, inForce)
		}
	}
	next := was
	next.LogLevel, next.Customer.Multicore = "warn", 3
	if inForce, _ := was.Reload(next); inForce.LogLevel != "warn" || inForce.Customer.Multicore != 100 {
		t.Errorf("in force are %q and %d, want one of each", inForce.LogLevel, inForce.Customer.Multicore)
	}
}

// The help and the sample say of each key whether it can change.
func TestReloadIsSaid(t *testing.T) {
	var help strings.Builder
	if err := Help(&help); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{help.String(), Default().TOML()} {
		if n, want := strings.Count(text, "changes on SIGHUP"), 12+10+2; n != want {
			t.Errorf("%d keys say so, want %d:\n%s", n, want, text)
		}
	}
}
