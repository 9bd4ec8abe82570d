//go:build unix

package attack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluicegate/sluice/internal/wsclient"
	"github.com/sluicegate/sluice/transport/websocket"
)

// childMode is the first argument of a child process. Attackers are processes of
// their own so that what is weighed is the gateway's memory alone, and because a
// process may not have descriptors for both ends.
const childMode = "sluice-attack-child"

// childTime bounds a child's life, whatever becomes of its parent.
const childTime = 60 * time.Second

// roles are what a child can be.
func roles() map[string]func(*assault) error {
	return map[string]func(*assault) error{
		"header flood": headerFlood, "slowloris": slowloris, "reconnect storm": reconnectStorm,
		"giant announced": giantAnnounced, "giant sent": giantSent, "fragments": fragments, "empty fragments": emptyFragments,
		"pings": pings, "pings unread": pingsUnread,
		"bombs": bombs, "small bombs": smallBombs, "compressed": compressed,
		"topics of one": topicsOfOne, "topics made and deleted": topicsMadeAndDeleted, "sessions": sessions,
		"stalled readers": stalledReaders,
		"questions":       questions, "commands": commands, "broadcasts": broadcasts, "deaf process": deafProcess, "junk": junk,
		"few descriptors": fewDescriptors, "connections": connections,
	}
}

// An assault is a child's side of an attack.
type assault struct {
	ctx   context.Context // ends with the child's input
	addr  string          // of the gateway
	n     int             // how many of whatever it is
	more  string          // further arguments
	words chan struct{}   // one for each line of input

	mu sync.Mutex // of the output
}

// child plays a role until it is done or its input ends, and returns its exit
// status.
func child(args []string) int {
	if len(args) != 4 {
		return 2
	}
	ctx, cancel := context.WithTimeout(context.Background(), childTime)
	defer cancel()
	n, _ := strconv.Atoi(args[2])
	a := &assault{ctx: ctx, addr: args[1], n: n, more: args[3], words: make(chan struct{}, 16)}
	go func() {
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			a.words <- struct{}{}
		}
		cancel()
		time.AfterFunc(5*time.Second, func() { os.Exit(3) })
	}()
	role, ok := roles()[args[0]]
	if !ok {
		fmt.Fprintf(os.Stderr, "no role %q\n", args[0])
		return 2
	}
	err := a.await()
	if err == nil {
		err = role(a)
	}
	if err != nil && ctx.Err() == nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", args[0], err)
		return 1
	}
	return 0
}

// say tells the test a number.
func (a *assault) say(key string, n int) { a.tell(key, strconv.Itoa(n)) }

func (a *assault) tell(key, value string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	fmt.Printf("%s: %s\n", key, value)
}

// await waits for the test's word. It fails when the test has ended the input: then
// there is nothing more to do.
func (a *assault) await() error {
	select {
	case <-a.words:
		return nil
	case <-a.ctx.Done():
		return a.ctx.Err()
	}
}

// each calls f for 0 to n-1, so many at a time, until one fails.
func (a *assault) each(n, parallel int, f func(i int) error) error {
	var next atomic.Int64
	var crew sync.WaitGroup
	errs := make(chan error, parallel)
	for range parallel {
		crew.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && a.ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if err := f(i); err != nil {
					errs <- err
					next.Store(int64(n))
					return
				}
			}
		})
	}
	crew.Wait()
	close(errs)
	return errors.Join(<-errs, a.ctx.Err())
}

// dial connects; the connection ends with the child's input. Options of the
// socket are set before.
func (a *assault) dial(options ...func(fd int) error) (*net.TCPConn, error) {
	return a.dialTo(a.addr, options...)
}

func (a *assault) dialTo(addr string, options ...func(fd int) error) (*net.TCPConn, error) {
	d := net.Dialer{Timeout: wait, Control: func(_, _ string, raw syscall.RawConn) (err error) {
		bad := raw.Control(func(fd uintptr) {
			for _, o := range options {
				err = errors.Join(err, o(int(fd)))
			}
		})
		return errors.Join(err, bad)
	}}
	c, err := d.DialContext(a.ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(a.ctx, func() { _ = c.Close() })
	return c.(*net.TCPConn), nil
}

// narrow leaves a socket as little room as the system allows: small segments keep
// the other end's buffer small, too.
func narrow(fd int) error {
	return errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4096),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_MAXSEG, 536))
}

// open connects and shakes hands.
func (a *assault) open(r wsclient.Request, options ...func(fd int) error) (*wsclient.Conn, error) {
	c, err := a.dial(options...)
	if err != nil {
		return nil, err
	}
	return wsclient.Open(c, r)
}

// drop ends a connection with a reset, without the two minutes that a port is not
// to be used for after an orderly end.
func drop(c net.Conn) {
	if w, ok := c.(*wsclient.Conn); ok {
		c = w.Conn
	}
	_ = c.(*net.TCPConn).SetLinger(0)
	_ = c.Close()
}

// ask sends a message and reads the answer.
func ask(c *wsclient.Conn, text string) (string, error) {
	if err := c.WriteMessage(websocket.OpText, []byte(text)); err != nil {
		return "", err
	}
	_, answer, err := c.ReadMessage()
	return string(answer), err
}

// closeCode reads to the end and returns the code of the close frame, or 1006 if
// there was none.
func closeCode(c *wsclient.Conn) int {
	for {
		_, _, err := c.ReadMessage()
		if ce := (*wsclient.CloseError)(nil); errors.As(err, &ce) {
			return ce.Code
		}
		if err != nil {
			return websocket.CloseAbnormal
		}
	}
}

// status reads the status of an answer, or returns 0 if there is none.
func status(c net.Conn) int {
	line := make([]byte, len("HTTP/1.1 101"))
	if _, err := io.ReadFull(c, line); err != nil || !strings.HasPrefix(string(line), "HTTP/1.1 ") {
		return 0
	}
	n, _ := strconv.Atoi(string(line[9:]))
	return n
}

// A tallyOf counts by number: by status, by code.
type tallyOf struct {
	mu sync.Mutex
	n  map[int]int
}

func (t *tallyOf) add(key int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n == nil {
		t.n = make(map[int]int)
	}
	t.n[key]++
}

// of returns a count and takes it out, so that what is left is what nobody expects.
func (t *tallyOf) of(key int) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.n[key]
	delete(t.n, key)
	return n
}

func (t *tallyOf) rest() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.n) > 0 {
		return fmt.Errorf("answers that are not due, by code: %v", t.n)
	}
	return nil
}

// A process is a child as its test sees it.
type process struct {
	t   testing.TB
	in  io.WriteCloser
	out *bufio.Scanner
	cmd *exec.Cmd

	errs strings.Builder
	end  func() error
}

// start starts a child in a role. It does nothing before its first word.
func start(t testing.TB, role, addr string, n int, more string) *process {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), childTime)
	p := &process{t: t, cmd: exec.CommandContext(ctx, exe, childMode, role, addr, strconv.Itoa(n), more)}
	p.cmd.Stderr = &p.errs
	// A group of its own, all of whose threads can be told to be polite.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.in, err = p.cmd.StdinPipe()
	must(t, err)
	out, err := p.cmd.StdoutPipe()
	must(t, err)
	p.out = bufio.NewScanner(out)
	must(t, p.cmd.Start())
	p.end = sync.OnceValue(func() error {
		defer cancel()
		_ = p.in.Close()
		for p.out.Scan() { // Wait is for after the last line
		}
		if err := p.cmd.Wait(); err != nil {
			return fmt.Errorf("%s: %w: %s", role, err, p.errs.String())
		}
		return nil
	})
	t.Cleanup(func() {
		if err := p.end(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// polite has the child leave the processors to the gateway: attackers have
// machines of their own.
func (p *process) polite() *process {
	_ = unix.Setpriority(unix.PRIO_PGRP, p.cmd.Process.Pid, 10)
	return p
}

// word has the child go on.
func (p *process) word() {
	p.t.Helper()
	_, err := p.in.Write([]byte("\n"))
	must(p.t, err)
}

// hear waits for the child's next line, which must be of that key.
func (p *process) hear(key string) string {
	p.t.Helper()
	if p.out.Scan() {
		k, value, _ := strings.Cut(p.out.Text(), ": ")
		if k != key {
			p.t.Fatalf("the child said %q when %s was due", p.out.Text(), key)
		}
		return value
	}
	p.t.Fatalf("the child has ended before it said %s: %v", key, p.end())
	return ""
}

// count is hear for a number.
func (p *process) count(key string) int {
	p.t.Helper()
	n, err := strconv.Atoi(p.hear(key))
	must(p.t, err)
	return n
}
