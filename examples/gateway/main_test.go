package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluicegate/sluice/examples/gateway/config"
	"github.com/sluicegate/sluice/hooks/remote"
	"github.com/sluicegate/sluice/protocol"
)

// execute runs the program as a process.
func execute(t *testing.T, environ []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(append(os.Environ(), runAsMain+"=1"), environ...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.toml"), filepath.Join(dir, "bad.toml")
	for file, text := range map[string]string{good: "[Limit]\nOnOpen = 1\n", bad: "[Limit]\nOnOpen = -1\nFoo = 1\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	badText := bad + ":2: Limit.OnOpen is -1; use a whole number from 0 to 2147483647\n" +
		bad + ":3: Limit.Foo is unknown; remove it, or see -h for the names there are\n"
	for _, tt := range []struct {
		name           string
		environ, args  []string
		code           int
		stdout, stderr string
	}{
		{"defaults", nil, []string{"-check"}, 0, "the configuration is valid\n", ""},
		{"the sample", nil, []string{"-check", "-config", "sluice.toml"}, 0, "sluice.toml is valid\n", ""},
		{"good", nil, []string{"-check", "-config", good}, 0, good + " is valid\n", ""},
		{"file by variable", []string{"SLUICE_CONFIG=" + good}, []string{"-check"}, 0, good + " is valid\n", ""},
		{"flag before variable", []string{"SLUICE_CONFIG=" + bad}, []string{"-check", "-config", good}, 0, good + " is valid\n", ""},
		{"bad", nil, []string{"-check", "-config", bad}, 1, "", badText},
		{"bad, not only checked", nil, []string{"-config", bad}, 1, "", badText},
		{"bad, printed", nil, []string{"-print", "-config", bad}, 1, "", badText},
		{"variable", []string{"SLUICE_LOGLEVEL=x"}, []string{"-check"}, 1, "",
			"variable SLUICE_LOGLEVEL is \"x\"; use \"debug\", \"info\", \"warn\" or \"error\"\n"},
		{"flag", nil, []string{"-check", "-Customer.Multicore", "-1"}, 1, "", "flag -Customer.Multicore is -1; use a whole number from 0 to 100\n"},
		{"unknown flag", nil, []string{"-Customer.Multi", "1"}, 1, "", "gateway: flag provided but not defined: -Customer.Multi; see -h\n"},
		{"argument", nil, []string{good}, 1, "", "gateway: unexpected argument \"" + good + "\"; see -h\n"},
		{"no file", nil, []string{"-config", "none.toml"}, 1, "", "none.toml: cannot be read: no such file or directory\n"},
		{"both", nil, []string{"-check", "-print"}, 1, "", "gateway: -check and -print do not go together; -print checks first anyway\n"},
	} {
		code, stdout, stderr := execute(t, tt.environ, tt.args...)
		if code != tt.code || stdout != tt.stdout || stderr != tt.stderr {
			t.Errorf("%s: code %d\n%s%s", tt.name, code, stdout, stderr)
		}
	}
}

func TestPrintAndHelp(t *testing.T) {
	printed := filepath.Join(t.TempDir(), "printed.toml")
	code, out, stderr := execute(t, []string{"SLUICE_CUSTOMER_MULTICORE=7"}, "-print", "-Customer.AllowOrigin", "*")
	if code != 0 || !strings.Contains(out, "\nMulticore = 7\n") || !strings.Contains(out, "\nAllowOrigin = [\"*\"]\n") {
		t.Fatalf("code %d, %s%s", code, out, stderr)
	}
	if err := os.WriteFile(printed, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, again, stderr := execute(t, nil, "-print", "-config", printed); code != 0 || again != out {
		t.Errorf("printed again: code %d, %s%s", code, again, stderr)
	}
	code, out, stderr = execute(t, []string{"SLUICE_NONE=1"}, "-version")
	if code != 0 || !strings.HasPrefix(out, "version ") || !strings.Contains(out, "\ncommit ") || !strings.Contains(out, "\nbuilt by go") || stderr != "" {
		t.Errorf("-version: code %d\n%s%s", code, out, stderr)
	}
	code, out, _ = execute(t, nil, "-h")
	if code != 0 || !strings.Contains(out, "-config FILE") || !strings.Contains(out, "-Customer.ListenAddress") {
		t.Errorf("-h: code %d\n%s", code, out)
	}
}

// process is the program, started and ready.
func process(t *testing.T, args ...string) (cmd *exec.Cmd, clients string, stderr *buffer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	cmd = exec.CommandContext(ctx, os.Args[0], anyPort(args...)...)
	cmd.Env = append(os.Environ(), runAsMain+"=1")
	stderr = new(buffer)
	cmd.Stderr = stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	clients, ok := strings.CutPrefix(strings.TrimSpace(line), "clients ws://")
	if err != nil || !ok {
		t.Fatalf("it said %q, %v\n%s", line, err, stderr)
	}
	return cmd, clients, stderr
}

func TestSignals(t *testing.T) {
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		cmd, _, stderr := process(t)
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("after %v: %v, want exit code 0\n%s", sig, err, stderr)
		}
	}
}

// TestStubbornClient has a client that does not answer the close frame, for
// which the gateway waits longer than it may.
func TestStubbornClient(t *testing.T) {
	t.Run("time is up", func(t *testing.T) {
		cmd, clients, stderr := process(t, "-ShutdownWaitTime", "100ms")
		server{clients: clients}.dial(t)
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != 1 {
			t.Errorf("%v, want exit code 1", err)
		}
		if !strings.Contains(stderr.String(), "gateway: not stopped in order within 100ms") {
			t.Error(stderr)
		}
	})
	t.Run("a second signal", func(t *testing.T) {
		cmd, clients, stderr := process(t, "-ShutdownWaitTime", "0s")
		server{clients: clients}.dial(t)
		began := time.Now()
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		for !strings.Contains(stderr.String(), "msg=stopping") && time.Since(began) < 10*time.Second {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(100 * time.Millisecond) // the handler of signals is taken away besides
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		status := cmd.ProcessState.Sys().(syscall.WaitStatus)
		if !status.Signaled() || status.Signal() != syscall.SIGTERM {
			t.Errorf("%v, want: killed by SIGTERM\n%s", cmd.ProcessState, stderr)
		}
	})
	t.Run("no limit", func(t *testing.T) {
		cmd, clients, stderr := process(t, "-ShutdownWaitTime", "0s")
		server{clients: clients}.dial(t)
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v, want exit code 0\n%s", err, stderr)
		}
	})
}

func TestConversions(t *testing.T) {
	for _, tt := range []struct{ perCent, cpus, want int }{
		{0, 8, 1}, {1, 8, 1}, {12, 8, 1}, {13, 8, 2}, {50, 8, 4}, {51, 8, 5}, {100, 8, 8}, {100, 1, 1}, {1, 1, 1},
	} {
		if got := loops(tt.perCent, tt.cpus); got != tt.want {
			t.Errorf("%d%% of %d CPUs: %d loops, want %d", tt.perCent, tt.cpus, got, tt.want)
		}
	}
	for level, want := range map[int]int{-2: 1, -1: 6, 0: 0, 1: 1, 9: 9} {
		if got := compression(level); got != want {
			t.Errorf("compression level %d: %d, want %d", level, got, want)
		}
	}
	for wait, want := range map[time.Duration]time.Duration{0: forEver, time.Second: time.Second / 2, 1: 1} {
		if got := stopTimeout(wait); got != want {
			t.Errorf("of %v of stopping, calls may take %v, want %v", wait, got, want)
		}
	}
	never := config.Default()
	never.Customer.HeartbeatInterval = 0
	if gc := gatewayConfig(never, slog.New(slog.DiscardHandler)); gc.HeartbeatInterval >= 0 {
		t.Errorf("never closing silent clients became %v", gc.HeartbeatInterval)
	}
	behind := config.Default()
	behind.Customer.TrustedProxies, behind.Customer.ProxyProtocol = []string{"10.0.0.0/8"}, []string{"192.0.2.1"}
	if gc := gatewayConfig(behind, slog.New(slog.DiscardHandler)); len(gc.TrustedProxies) != 1 || gc.TrustedProxies[0].String() != "10.0.0.0/8" ||
		len(gc.ProxyProtocol) != 1 || gc.ProxyProtocol[0].String() != "192.0.2.1/32" {
		t.Errorf("proxies %v and %v", gc.TrustedProxies, gc.ProxyProtocol)
	}
	if gc := gatewayConfig(config.Default(), slog.New(slog.DiscardHandler)); gc.TrustedProxies != nil || gc.ProxyProtocol != nil {
		t.Errorf("proxies by default: %v and %v", gc.TrustedProxies, gc.ProxyProtocol)
	}
	if rc, err := new(parts).remoteConfig(config.Config{Worker: config.Worker{BufferSize: 1, Choice: "roundrobin", SendChanCap: 3, Advertise: "10.0.0.1:2"}}, nil); err != nil || rc.Buffer != 0 ||
		rc.Choice != remote.RoundRobin || rc.QueueEvents != 3 || rc.Worker.Advertise.String() != "10.0.0.1:2" || rc.Task.Advertise.IsValid() {
		t.Errorf("%+v", rc)
	}
	if m := metricItems([]int{}); m == nil || len(m) != 0 {
		t.Errorf("no metrics: %#v", m)
	}
	c := config.Default()
	for _, text := range []string{c.Customer.HeartbeatMessage, c.Worker.HeartbeatMessage, c.Task.HeartbeatMessage} {
		if text != protocol.DefaultHeartbeat {
			t.Errorf("heartbeat %q, the protocol's is %q", text, protocol.DefaultHeartbeat)
		}
	}
}
