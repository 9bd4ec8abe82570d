package process

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// patience is how long a child may take to start, and then to end.
const patience = 10 * time.Second

// A Child is this program, started once more.
type Child struct {
	cmd   *exec.Cmd
	stdin io.Closer
	ended chan struct{} // closed when it was waited for
	err   error         // of that
}

// Start starts this program with args and waits for its first line, which begins
// with "ready" and is returned without that. The child ends when its standard
// input does, which [Child.Stop] or the end of this process brings about. Its
// standard error is this program's.
func Start(args ...string) (*Child, string, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, "", fmt.Errorf("process: %w", err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, "", fmt.Errorf("process: %w", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", fmt.Errorf("process: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, "", fmt.Errorf("process: %w", err)
	}
	c := &Child{cmd: cmd, stdin: stdin, ended: make(chan struct{})}
	late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	onTime := late.Stop()
	go func() {
		defer close(c.ended)
		c.err = cmd.Wait()
	}()
	rest, ready := strings.CutPrefix(line, "ready")
	switch {
	case !onTime:
		return nil, "", errors.Join(fmt.Errorf("process: %s was not ready after %v", args[0], patience), c.Stop())
	case err != nil || !ready:
		return nil, "", errors.Join(fmt.Errorf("process: %s did not start; what it says is above", args[0]), c.Stop())
	}
	return c, strings.TrimSpace(rest), nil
}

// PID is the child's process id.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Stop ends the child and waits for it. The error says that it has failed.
func (c *Child) Stop() error {
	_ = c.stdin.Close()
	late := time.AfterFunc(patience, func() { _ = c.cmd.Process.Kill() })
	defer late.Stop()
	<-c.ended
	if c.err != nil {
		return fmt.Errorf("process: %s: %w", c.cmd.Args[1], c.err)
	}
	return nil
}
