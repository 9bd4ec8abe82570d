//go:build unix

package enginetest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/sys/unix"
)

// childMode is set in a child process, which has few descriptors.
const childMode = "SLUICE_TEST_CHILD"

// child serves with a low descriptor limit until its input ends. It writes its
// address, and at the end what Serve returned.
func (k Engine) child(mode string) int {
	limit := unix.Rlimit{Cur: 200, Max: 200}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		fmt.Println("cannot lower the limit:", err)
		return 2
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	o := Options()
	o.Ready = func(a net.Addr) {
		if mode == "tight" {
			// A quarter of the limit is spare, and some for each loop: take
			// the quarter away.
			if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 150, Max: 200}); err != nil {
				fmt.Println("cannot lower the limit:", err)
			}
		}
		fmt.Println(a)
		go func() {
			in := bufio.NewReader(os.Stdin)
			if mode == "eat" {
				_, _ = in.ReadString('\n')
				for {
					if _, err := unix.Open("/dev/null", unix.O_RDONLY, 0); err != nil {
						fmt.Println("eaten")
						return
					}
				}
			}
			_, _ = in.ReadString('\n')
			cancel()
		}()
	}
	err := k.Listen("127.0.0.1:0", 2).Serve(ctx, o, new(Echo))
	fmt.Println("served:", err)
	return 0
}

type childProcess struct {
	t    *testing.T
	cmd  *exec.Cmd
	in   interface{ Write([]byte) (int, error) }
	out  *bufio.Scanner
	addr string
}

func startChild(t *testing.T, mode string) *childProcess {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	cmd := exec.CommandContext(ctx, exe)
	cmd.Env = append(os.Environ(), childMode+"="+mode)
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait(); cancel() })
	c := &childProcess{t: t, cmd: cmd, in: in, out: bufio.NewScanner(out)}
	c.addr = c.line()
	return c
}

func (c *childProcess) line() string {
	c.t.Helper()
	if !c.out.Scan() {
		c.t.Fatalf("the child has ended: %v", c.out.Err())
	}
	return c.out.Text()
}

// More clients than descriptors: those that came early stay, those that are
// turned away leave room behind, and what the loops accept before they turn
// them away is no more than was reckoned with.
func (k Engine) testMoreClientsThanDescriptors(t *testing.T) {
	c := startChild(t, k.Limit)
	var early []*websocket.Conn
	for range 20 {
		ws, err := DialWS(c.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer ws.Close()
		early = append(early, ws)
	}
	for round := range 3 {
		var attack []net.Conn
		for range 400 {
			if a, err := net.DialTimeout("tcp", c.addr, 5*time.Second); err == nil {
				attack = append(attack, a)
			}
		}
		for i, ws := range early {
			if err := RoundTrip(ws, "still here?"); err != nil {
				t.Fatalf("round %d, client %d: %v", round, i, err)
			}
		}
		turnedAway := 0
		for _, a := range attack {
			_ = a.SetReadDeadline(time.Now().Add(time.Millisecond))
			if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				turnedAway++
			}
		}
		if turnedAway < 200 || turnedAway == len(attack) {
			t.Errorf("round %d: %d of %d turned away", round, turnedAway, len(attack))
		}
		if _, err := DialWS(c.addr); err == nil {
			t.Error("a client was taken though there is no room")
		}
		for _, a := range attack {
			_ = a.Close()
		}
		Eventually(t, "room for new clients", func() bool {
			ws, err := DialWS(c.addr)
			if err != nil {
				return false
			}
			defer ws.Close()
			return RoundTrip(ws, "at last") == nil
		})
	}
	_, _ = c.in.Write([]byte("\n"))
	if got := c.line(); got != "served: <nil>" {
		t.Errorf("%s", got)
	}
}

// When the host itself has eaten all descriptors, accepting fails and the
// engine ends: Serve says so, at once.
func (k Engine) testHostEatsAllDescriptors(t *testing.T) {
	c := startChild(t, "eat")
	ws, err := DialWS(c.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	_, _ = c.in.Write([]byte("\n"))
	if got := c.line(); got != "eaten" {
		t.Fatal(got)
	}
	begun := time.Now()
	for range 8 { // both loops, likely
		if a, err := net.DialTimeout("tcp", c.addr, time.Second); err == nil {
			defer a.Close()
		}
	}
	got := c.line()
	if !strings.HasPrefix(got, "served: "+k.Name+": the engine has stopped") {
		t.Errorf("%s", got)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("after %v", took)
	}
}
