package deploy

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/examples/gateway/config"
)

// find returns what the group of pattern is in a file of this folder.
func find(t *testing.T, name, pattern string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	must(t, err)
	part := regexp.MustCompile("(?m)" + pattern).FindStringSubmatch(string(text))
	if part == nil {
		t.Fatalf("%s has nothing like %s", name, pattern)
	}
	return part[1]
}

func TestUnitAllowsForWhatTheGatewayDoes(t *testing.T) {
	seconds, err := strconv.Atoi(find(t, "sluice.service", `^TimeoutStopSec=(\d+)s$`))
	must(t, err)
	if stop, wait := time.Duration(seconds)*time.Second, config.Default().ShutdownWaitTime; stop <= wait {
		t.Errorf("systemd kills it after %v; it may take %v to end by itself", stop, wait)
	}
	files, err := strconv.Atoi(find(t, "sluice.service", `^LimitNOFILE=(\d+)$`))
	must(t, err)
	if most := 1 << 20; files < 200_000 || files > most {
		t.Errorf("LimitNOFILE is %d; it is for 100,000 clients and more, and kernels allow %d by default", files, most)
	}
}

func TestDockerfileFitsTheModule(t *testing.T) {
	if image, module := find(t, "Dockerfile", `^FROM golang:(\S+) AS build$`), find(t, "../go.mod", `^go (\d+\.\d+)`); image != module {
		t.Errorf("the image has Go %s, go.mod wants %s", image, module)
	}
	if user := find(t, "Dockerfile", `^USER (\S+)$`); !regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`).MatchString(user) {
		t.Errorf("USER is %s; it must be numbers, of nobody special: there is no passwd", user)
	}
	name, value, _ := strings.Cut(find(t, "Dockerfile", `^ENV (\S+)$`), "=")
	cfg, err := config.Load("", []string{name + "=" + value}, nil)
	must(t, err)
	if cfg.Customer.ListenAddress != value || !strings.HasPrefix(value, ":") {
		t.Errorf("clients would connect to %s, which cannot be reached from outside of the container", cfg.Customer.ListenAddress)
	}
	if port := find(t, "Dockerfile", `^EXPOSE (\d+)`); ":"+port != value {
		t.Errorf("port %s is exposed, and not %s", port, value)
	}
}
