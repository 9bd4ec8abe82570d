// Package deploy has what gateways are run and watched with: a Dockerfile, a unit for
// systemd, settings for the kernel, and rules and a dashboard for Prometheus and
// Grafana. docs/deploy.md says how to use it. The tests here need Go alone: they find
// whether the files fit each other, the gateway and what it counts. Whether they are
// well-formed is for the programs that read them: .ci/deploy asks those.
package deploy

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/gateway/gatewaytest"
	"github.com/sluicegate/sluice/hooks/callback"
	"github.com/sluicegate/sluice/hooks/limit"
	"github.com/sluicegate/sluice/hooks/metrics"
	"github.com/sluicegate/sluice/hooks/remote"
	"github.com/sluicegate/sluice/internal/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// A metric is what an expression may ask of one.
type metric struct {
	labels    []string
	values    map[string][]string // of a label; those that a gateway has from the start
	histogram bool
}

// known returns what a gateway with all that can be counted offers to Prometheus, by
// the names that expressions use.
func known(t *testing.T) map[string]*metric {
	t.Helper()
	rt, err := remote.Listen(remote.Config{Worker: remote.Listener{Addr: "127.0.0.1:0"}, Task: remote.Listener{Addr: "127.0.0.1:0"}})
	must(t, err)
	limiter, err := limit.New(limit.Config{})
	must(t, err)
	cb, err := callback.New(callback.Config{OpenURL: "http://127.0.0.1/"}) // there are no clients to ask it about
	must(t, err)
	m := metrics.New(metrics.Config{Remote: rt, Limiter: limiter, Callback: cb})
	gatewaytest.New(t, gateway.Config{Limiter: limiter, Hooks: []any{m, rt, cb}})

	found := map[string]*metric{"up": {}} // Prometheus's own
	for _, c := range []prometheus.Collector{m, collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})} {
		for name, labels := range described(t, c) {
			found[name] = &metric{labels: labels, values: make(map[string][]string)}
		}
	}
	registry := prometheus.NewRegistry()
	must(t, registry.Register(m))
	families, err := registry.Gather()
	for deadline := time.Now().Add(20 * time.Second); len(families) == 0; families, err = registry.Gather() {
		must(t, err)
		if time.Now().After(deadline) {
			t.Fatal("the gateway did not run the hook")
		}
		time.Sleep(time.Millisecond)
	}
	for _, f := range families {
		is := found[f.GetName()]
		is.histogram = f.GetType().String() == "HISTOGRAM"
		for _, one := range f.GetMetric() {
			for _, label := range one.GetLabel() {
				is.values[label.GetName()] = append(is.values[label.GetName()], label.GetValue())
			}
		}
		if is.histogram {
			delete(found, f.GetName())
			found[f.GetName()+"_bucket"] = &metric{labels: append(slices.Clone(is.labels), "le")}
			found[f.GetName()+"_count"], found[f.GetName()+"_sum"] = is, is
		}
	}
	return found
}

// described returns the names that c announces, with their labels. A Desc can only be
// asked for all that it is, as a text.
func described(t *testing.T, c prometheus.Collector) map[string][]string {
	t.Helper()
	text := regexp.MustCompile(`^Desc\{fqName: "(\w+)",.* variableLabels: \{([\w,]*)\}\}$`)
	ch := make(chan *prometheus.Desc)
	go func() {
		c.Describe(ch)
		close(ch)
	}()
	names := make(map[string][]string)
	for d := range ch {
		if part := text.FindStringSubmatch(d.String()); part == nil {
			t.Errorf("%v is not understood", d)
		} else {
			names[part[1]] = strings.FieldsFunc(part[2], func(r rune) bool { return r == ',' })
		}
	}
	return names
}

var (
	quoted    = regexp.MustCompile(`"[^"]*"`)
	selector  = regexp.MustCompile(`(\w+)\{([^}]*)\}`)
	matcher   = regexp.MustCompile(`(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"`)
	grouping  = regexp.MustCompile(`\b(by|without|on|ignoring|group_left|group_right)\b(?:\s*\(([^)]*)\))?`)
	duration  = regexp.MustCompile(`\[[^]]*\]`)
	candidate = regexp.MustCompile(`[A-Za-z_:][\w:]*(\s*\()?`)
)

// names returns the metrics that an expression of PromQL reads.
func names(expr string) []string {
	for _, r := range []*regexp.Regexp{quoted, duration, grouping} {
		expr = r.ReplaceAllString(expr, " ")
	}
	expr = regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(expr, " ")
	var found []string
	for _, word := range candidate.FindAllString(expr, -1) {
		if !strings.HasSuffix(word, "(") && !slices.Contains([]string{"and", "or", "unless", "bool"}, word) {
			found = append(found, word)
		}
	}
	return found
}

// fits reports what an expression asks for that is not there: metrics, labels, values
// of labels. shown are labels that its result must have had.
func fits(t *testing.T, offered map[string]*metric, expr string, shown []string) {
	t.Helper()
	labels := []string{"job", "instance"} // Prometheus's own
	for _, name := range names(expr) {
		is := offered[name]
		if is == nil {
			t.Errorf("there is no metric %s, which is in %s", name, expr)
			continue
		}
		labels = append(labels, is.labels...)
	}
	for _, s := range selector.FindAllStringSubmatch(expr, -1) {
		is := offered[s[1]]
		for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
			label, value := m[1], m[3]
			if label == "job" || label == "instance" || is == nil {
				continue
			}
			if !slices.Contains(is.labels, label) {
				t.Errorf("%s has no label %s, which is in %s", s[1], label, expr)
			}
			for one := range strings.SplitSeq(value, "|") {
				if !slices.Contains(is.values[label], one) {
					t.Errorf("%s of %s is one of %q, and not %q as in %s", label, s[1], is.values[label], one, expr)
				}
			}
		}
	}
	for _, g := range grouping.FindAllStringSubmatch(expr, -1) {
		for label := range strings.FieldsFuncSeq(g[2], func(r rune) bool { return r == ',' || r == ' ' }) {
			if !slices.Contains(labels, label) {
				t.Errorf("nothing has a label %s, which is in %s", label, expr)
			}
		}
		if g[1] == "by" {
			labels = strings.FieldsFunc(g[2], func(r rune) bool { return r == ',' || r == ' ' })
		}
	}
	for _, label := range shown {
		if !slices.Contains(labels, label) {
			t.Errorf("label %s is shown and is not in the result of %s", label, expr)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
