// Package launch starts servers as processes of their own.
package launch

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// patience is how long a server may take to start, and then to end.
const patience = 10 * time.Second

// A Server is a process that serves.
type Server struct {
	Clients, Task string // addresses
	PID           int    // its process

	cmd   *exec.Cmd
	ended chan struct{} // closed when it was waited for
}

// Ready starts a program that says in its first line "ready" and its two
// addresses. What it writes to its standard error is passed on.
func Ready(cmd *exec.Cmd) (*Server, error) {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s, err := start(cmd)
	if err != nil {
		return nil, err
	}
	late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	late.Stop()
	s.wait()
	if err == nil {
		_, err = fmt.Sscanf(line, "ready %s %s\n", &s.Clients, &s.Task)
	}
	if err != nil {
		s.Stop()
		return nil, fmt.Errorf("%s did not start: %w", cmd.Path, err)
	}
	return s, nil
}

// OnPorts starts the program at path, which is told the port for clients and that
// for commands, both on the loopback address, and waits until it accepts clients.
func OnPorts(ctx context.Context, path string) (*Server, error) {
	port, err := freePorts()
	if err != nil {
		return nil, err
	}
	s, err := start(exec.Command(path, strconv.Itoa(port), strconv.Itoa(port+taskOffset)))
	if err != nil {
		return nil, err
	}
	s.Clients, s.Task = loopback(port), loopback(port+taskOffset)
	s.wait()
	if err := s.awaitListener(ctx); err != nil {
		s.Stop()
		return nil, fmt.Errorf("%s did not start: %w", path, err)
	}
	return s, nil
}

func start(cmd *exec.Cmd) (*Server, error) {
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &Server{PID: cmd.Process.Pid, cmd: cmd, ended: make(chan struct{})}, nil
}

// wait has the process waited for, which closes its standard output.
func (s *Server) wait() {
	go func() {
		defer close(s.ended)
		_ = s.cmd.Wait() // how it ends is not what it is started for
	}()
}

// Stop ends the process and waits for it. It may be called more than once.
func (s *Server) Stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	late := time.AfterFunc(patience, func() { _ = s.cmd.Process.Kill() })
	defer late.Stop()
	<-s.ended
}

func (s *Server) awaitListener(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.Clients)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-tick.C:
		case <-s.ended:
			return errors.New("it has ended")
		case <-ctx.Done():
			return err
		}
	}
}

// taskOffset is from the port for clients to that for commands.
const taskOffset = 2

// freePorts finds a port that is free, as is the one taskOffset above it.
func freePorts() (int, error) {
	const attempts = 100
	for range attempts {
		ln, err := net.Listen("tcp", loopback(0))
		if err != nil {
			return 0, err
		}
		port := ln.Addr().(*net.TCPAddr).Port
		task, err := net.Listen("tcp", loopback(port+taskOffset))
		_ = ln.Close()
		if err == nil {
			return port, task.Close()
		}
	}
	return 0, errors.New("there are no two free ports")
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
