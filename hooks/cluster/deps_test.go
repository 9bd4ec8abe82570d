package cluster_test

import (
	"os/exec"
	"strings"
	"testing"
)

// Who has no cluster has nothing of NATS in the build, and who has one has its client
// only.
func TestDependencies(t *testing.T) {
	const module = "github.com/sluicegate/sluice/"
	for forbidden, packages := range map[string][]string{
		"nats-io/":            {"gateway", "hooks", "hooks/remote", "protocol/business", "examples/chat"},
		"nats-io/nats-server": {"hooks/cluster", "examples/gateway"},
	} {
		for _, p := range packages {
			out, err := exec.Command("go", "list", "-deps", module+p).Output()
			must(t, err)
			for _, dep := range strings.Fields(string(out)) {
				if strings.Contains(dep, forbidden) {
					t.Errorf("%s imports %s", p, dep)
				}
			}
		}
	}
}
