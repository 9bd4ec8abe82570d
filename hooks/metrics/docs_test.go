package metrics_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// Every metric is explained in docs/operations.md, with its labels, and no other is.
func TestMetricsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/operations.md")
	must(t, err)
	documented := make(map[string]bool)
	row := regexp.MustCompile("(?m)^\\| (`[^|]*`) \\|")
	for _, m := range row.FindAllStringSubmatch(string(page), -1) {
		for name := range strings.SplitSeq(m[1], ", ") {
			documented[strings.Trim(name, "`")] = true
		}
	}
	m, _ := everything(t)
	ch := make(chan *prometheus.Desc, 1000)
	m.Describe(ch)
	close(ch)
	desc := regexp.MustCompile(`fqName: "sluice_([a-z_]+)".*variableLabels: \{([a-z,]*)\}`)
	for d := range ch {
		parts := desc.FindStringSubmatch(d.String())
		if parts == nil {
			t.Fatalf("what is %v?", d)
		}
		name := parts[1]
		if parts[2] != "" {
			name += "{" + parts[2] + "}"
		}
		if !documented[name] {
			t.Errorf("docs/operations.md does not explain `%s`", name)
		}
		delete(documented, name)
	}
	var left []string
	for name := range documented {
		if strings.Contains(name, "_") {
			left = append(left, name)
		}
	}
	if slices.Sort(left); len(left) > 0 {
		t.Errorf("docs/operations.md explains what there is not: %v", left)
	}
}
