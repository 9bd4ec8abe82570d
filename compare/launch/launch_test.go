package launch_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/compare/launch"
)

// role is what this program is to be instead of a test.
const role = "LAUNCH_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "":
		os.Exit(m.Run())
	case "ready":
		fmt.Println("ready 127.0.0.1:1 127.0.0.1:2")
	case "listens":
		ln, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		defer ln.Close()
	case "says nonsense":
		fmt.Println("hello")
	case "ends":
		os.Exit(1)
	}
	_, _ = io.Copy(io.Discard, os.Stdin) // until the test has ended, or a signal comes
	select {}
}

func TestReady(t *testing.T) {
	s, err := launch.Ready(child(t, "ready"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	if s.Clients != "127.0.0.1:1" || s.Task != "127.0.0.1:2" || s.PID == 0 {
		t.Errorf("the server is %+v", s)
	}
	if _, err := os.FindProcess(s.PID); err != nil {
		t.Error(err)
	}
}

func TestOnPorts(t *testing.T) {
	t.Setenv(role, "listens")
	s, err := launch.OnPorts(t.Context(), self(t))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", s.Clients)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	s.Stop()
	s.Stop()
	if conn, err := net.Dial("tcp", s.Clients); err == nil {
		_ = conn.Close()
		t.Error("the server listens still after Stop")
	}
}

func TestServersThatDoNotStart(t *testing.T) {
	for _, r := range []string{"says nonsense", "ends"} {
		if _, err := launch.Ready(child(t, r)); err == nil || !strings.Contains(err.Error(), "did not start") {
			t.Errorf("one that %s: Ready returned %v", r, err)
		}
	}
	if _, err := launch.Ready(exec.Command("/nonexistent")); err == nil {
		t.Error("one that does not exist: Ready returned no error")
	}
	t.Setenv(role, "ends")
	if _, err := launch.OnPorts(t.Context(), self(t)); err == nil || !strings.Contains(err.Error(), "it has ended") {
		t.Errorf("one that ends: OnPorts returned %v", err)
	}
	t.Setenv(role, "ready")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := launch.OnPorts(ctx, self(t)); err == nil {
		t.Error("with a context that has ended: OnPorts returned no error")
	}
}

func child(t *testing.T, r string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(self(t))
	cmd.Env = append(os.Environ(), role+"="+r)
	return cmd
}

func self(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}
