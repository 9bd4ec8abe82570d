package deploy

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// alert is one of alerts.yml.
type alert struct{ name, expr, summary string }

// readAlerts reads alerts.yml as far as it is needed here; promtool knows the rest.
func readAlerts(t *testing.T) (all []alert) {
	t.Helper()
	text, err := os.ReadFile("alerts.yml")
	must(t, err)
	form := regexp.MustCompile(`(?s)^(\w+)\n {8}expr: (?:>-\n)?(.*?)\n {8}(?:for: \w+\n {8})?labels: \{severity: (?:page|ticket)\}\n {8}annotations:\n {10}summary: >-\n(.*)$`)
	for _, block := range strings.Split(string(text), "- alert: ")[1:] {
		part := form.FindStringSubmatch(block)
		if part == nil {
			t.Errorf("an alert needs an expression, a severity and a summary, in this order:\n%s", block)
			continue
		}
		all = append(all, alert{part[1], part[2], part[3]})
	}
	if len(all) == 0 {
		t.Fatal("alerts.yml has no alerts")
	}
	return all
}

func TestAlertsAskForWhatIsThere(t *testing.T) {
	offered := known(t)
	for _, a := range readAlerts(t) {
		fits(t, offered, a.expr, placeholders(a.summary))
	}
}

// That alerts fire is promtool's to test; here it is that each has a test of both.
func TestAlertsAreTested(t *testing.T) {
	text, err := os.ReadFile("alerts_test.yml")
	must(t, err)
	for _, a := range readAlerts(t) {
		_, test, _ := strings.Cut(string(text), "  - name: "+a.name+"\n")
		test, _, _ = strings.Cut(test, "\n  - name: ")
		for _, want := range []string{`ALERTS{alertname="` + a.name + `", alertstate="firing"}`, "exp_samples: []", `exp_samples: [{labels: '{instance="bad"`} {
			if !strings.Contains(test, want) {
				t.Errorf("alerts_test.yml has no %q for %s; test when it fires and when not", want, a.name)
			}
		}
	}
}
