package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sluicegate/sluice/internal/certs"
	"github.com/sluicegate/sluice/internal/secret"
	"github.com/sluicegate/sluice/protocol"
)

// configured starts the program with a file, and returns what writes another text
// into it and has the program reload. It returns what the log says of that.
func configured(t *testing.T, text string, args ...string) (s server, reload func(text string) string) {
	t.Helper()
	dir := t.TempDir()
	file := write(t, dir, "f.toml", []byte(text))
	s = start(t, anyPort(append(args, "-config", file)...)...)
	return s, func(text string) string {
		t.Helper()
		write(t, dir, "f.toml", []byte(text))
		return s.hangUp(t)
	}
}

// hangUp sends SIGHUP and returns what is logged about it.
func (s server) hangUp(t *testing.T) string {
	t.Helper()
	before := len(s.log.String())
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	return awaitLog(t, func() string { return s.log.String()[before:] })
}

// awaitLog waits until a log says how a reload went.
func awaitLog(t *testing.T, read func() string) string {
	t.Helper()
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		log := read()
		if strings.HasSuffix(log, "\n") && (strings.Contains(log, "msg=reloaded") || strings.Contains(log, `msg="reload rejected"`)) {
			return log
		}
		if time.Since(began) > 10*time.Second {
			t.Fatalf("the log says nothing of a reload:\n%s", log)
		}
	}
}

// wantLog checks that each of the texts is in a log.
func wantLog(t *testing.T, log string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(log, text) {
			t.Errorf("the log lacks %q:\n%s", text, log)
		}
	}
}

// handshake returns the status of one, whose client leaves at once.
func (s server) handshake(t *testing.T, origin string) int {
	t.Helper()
	header := http.Header{}
	if origin != "" {
		header.Set("Origin", origin)
	}
	c, res, err := websocket.DefaultDialer.Dial("ws://"+s.clients, header)
	if err == nil {
		c.Close()
	}
	if res == nil {
		t.Fatal(err)
	}
	return res.StatusCode
}

// awaitListed waits until a client is listed whose handshake was answered.
func awaitListed(t *testing.T, task business) {
	t.Helper()
	for listed := int32(0); listed == 0; {
		var count protocol.UniqIdCountResp
		task.send(t, protocol.Cmd_UniqIdCount, nil)
		task.next(t, protocol.Cmd_UniqIdCount, &count)
		listed = count.GetCount()
	}
}

// broadcastReaches checks that a client is there, and gets messages.
func broadcastReaches(t *testing.T, task business, client *websocket.Conn, text string) {
	t.Helper()
	task.send(t, protocol.Cmd_Broadcast, &protocol.Broadcast{Data: []byte(text)})
	if _, data, err := client.ReadMessage(); err != nil || string(data) != text {
		t.Errorf("the client got %q, %v, want %q", data, err, text)
	}
}

// Limits and origins hold from then on, and nobody is dropped.
func TestReload(t *testing.T) {
	s, reload := configured(t, "[Customer]\nAllowOrigin = [\"https://a.example\"]\n")
	task := dialBusiness(t, s.task)
	client := s.dial(t)
	awaitListed(t, task)
	if got := s.handshake(t, "https://b.example"); got != 403 {
		t.Errorf("an origin that is not listed yet: %d", got)
	}

	log := reload("[Customer]\nAllowOrigin = [\"https://b.example\"]\nMulticore = 3\n[Limit]\nIPConnections = 1\n")
	wantLog(t, log, `level=INFO msg="setting changed" key=Limit.IPConnections was=0 now=1`+"\n",
		`msg="setting changed" key=Customer.AllowOrigin was=[https://a.example] now=[https://b.example]`+"\n",
		`level=WARN msg="restart needed" key=Customer.Multicore`+"\n", "level=INFO msg=reloaded changed=2 needRestart=1\n")
	broadcastReaches(t, task, client, "still there")
	if got := s.handshake(t, ""); got != 429 {
		t.Errorf("a second client of the address: %d", got)
	}

	log = reload("[Customer]\nAllowOrigin = [\"https://b.example\"]\nMaxOnlineNum = 1\nMulticore = 3\n")
	wantLog(t, log, "key=Limit.IPConnections was=1 now=0\n", "key=Customer.MaxOnlineNum was=0 now=1\n",
		`msg="restart needed" key=Customer.Multicore`, "changed=2 needRestart=1")
	if got := s.handshake(t, ""); got != 503 {
		t.Errorf("one client more than there may be: %d", got)
	}

	wantLog(t, reload("[Customer]\nAllowOrigin = [\"https://b.example\"]\n"), "changed=1 needRestart=0")
	if got := s.handshake(t, "https://b.example"); got != 101 {
		t.Errorf("an origin that is listed now: %d", got)
	}
	if got := s.handshake(t, "https://a.example"); got != 403 {
		t.Errorf("an origin that is not listed any more: %d", got)
	}
	wantLog(t, reload("[Customer]\nAllowOrigin = []\n"), "key=Customer.AllowOrigin", "level=WARN", "changed=1")
	if got := s.handshake(t, "https://c.example"); got != 101 {
		t.Errorf("any origin: %d", got)
	}

	wantLog(t, reload("[Customer]\nLimitWindowMaxRequests = 1\nLimitWindowSize = \"1h\"\nLimitExceeded = \"close\"\n"),
		"key=Customer.LimitWindowSize was=1s now=3600s", "changed=4")
	broadcastReaches(t, task, client, "and now")
	for range 2 {
		if err := client.WriteMessage(websocket.TextMessage, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := client.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseTryAgainLater) {
		t.Errorf("a message too many: %v, want close 1013", err)
	}
	if log := s.log.String(); strings.Contains(log, "level=ERROR") {
		t.Errorf("log:\n%s", log)
	}
}

// A configuration that is wrong is rejected, all of it, and said to be.
func TestReloadRejected(t *testing.T) {
	dir := t.TempDir()
	const good = "[Customer]\nAllowOrigin = [\"https://a.example\"]\nMaxOnlineNum = 1\n"
	s, reload := configured(t, good)
	client := s.dial(t)
	for name, tt := range map[string]struct{ text, want string }{
		"a value":      {"LogLevel = \"debug\"\n[Limit]\nOnOpen = -1\n", `f.toml:3: Limit.OnOpen is -1; use a whole number from 0 to 2147483647"` + "\n"},
		"not TOML":     {"[Limit\n", "f.toml:1: "},
		"a log file":   {"LogFile = \"" + filepath.Join(dir, "none", "log") + "\"\n[Customer]\nMaxOnlineNum = 9\n", "LogFile: open "},
		"two mistakes": {"LogLevel = \"x\"\n[Customer]\nFoo = 1\n", "f.toml:1: LogLevel is "},
	} {
		log := reload(tt.text)
		wantLog(t, log, `level=ERROR msg="configuration problem" problem=`, tt.want, `level=ERROR msg="reload rejected" problems=`)
		if name == "two mistakes" {
			wantLog(t, log, "f.toml:3: Customer.Foo is unknown", "problems=2\n")
		}
		if strings.Contains(log, "changed") || strings.Contains(log, "msg=reloaded") {
			t.Errorf("%s: the log says that something has changed:\n%s", name, log)
		}
		if got := s.handshake(t, "https://a.example"); got != 503 {
			t.Errorf("%s: one client more than there may be: %d", name, got)
		}
		if got := s.handshake(t, "https://b.example"); got != 403 {
			t.Errorf("%s: an origin that is not listed: %d", name, got)
		}
	}
	wantLog(t, reload(good), "changed=0 needRestart=0")
	if err := client.WriteMessage(websocket.PingMessage, nil); err != nil {
		t.Error(err)
	}
}

// What the command Limit has set stays, unless a limit is configured anew.
func TestReloadAndCommands(t *testing.T) {
	s, reload := configured(t, "[Limit]\nOnMessage = 100\n")
	task := dialBusiness(t, s.task)
	limit := func(onOpen int32) (int32, int32) {
		var resp protocol.LimitResp
		task.send(t, protocol.Cmd_Limit, &protocol.LimitReq{OnOpen: onOpen})
		task.next(t, protocol.Cmd_Limit, &resp)
		return resp.GetOnOpen(), resp.GetOnMessage()
	}
	limit(7)
	reload("LogLevel = \"debug\"\n[Limit]\nOnMessage = 100\n")
	if open, message := limit(0); open != 7 || message != 100 {
		t.Errorf("after a reload of something else: %d and %d, want 7 and 100", open, message)
	}
	reload("[Limit]\nOnMessage = 200\n")
	if open, message := limit(0); open != 0 || message != 200 {
		t.Errorf("after a reload of the limits: %d and %d, want those of the file, 0 and 200", open, message)
	}
}

// New connections of business processes get another certificate, and must have one
// of another authority; those that are there stay.
func TestReloadCertificates(t *testing.T) {
	dir, was, now := t.TempDir(), certs.New(t), certs.New(t)
	files := func(a *certs.Authority) {
		cert, key := a.Files()
		write(t, dir, "cert", cert)
		write(t, dir, "key", key)
		write(t, dir, "ca", a.PEM)
	}
	files(was)
	path := func(name string) string { return filepath.Join(dir, name) }
	text := "[Task]\nTLSCert = \"" + path("cert") + "\"\nTLSKey = \"" + path("key") + "\"\nTLSClientCA = \"" + path("ca") + "\"\n"
	s, reload := configured(t, text, "-Worker.TLSCert", path("cert"), "-Worker.TLSKey", path("key"))
	// dial returns a task connection that is let in, or the error.
	sessions := tls.NewLRUClientSessionCache(1)
	dial := func(of, a *certs.Authority) (business, error) {
		b := dialBusiness(t, s.task)
		b.Conn = tls.Client(b.Conn, &tls.Config{
			RootCAs: of.Pool, Certificates: []tls.Certificate{a.Certificate()}, ServerName: "127.0.0.1", ClientSessionCache: sessions,
		})
		b.r = protocol.NewReader(b.Conn, 0, nil)
		packet, err := protocol.AppendPacket(nil, protocol.Cmd_UniqIdCount, nil)
		if err == nil {
			_, err = b.Write(packet)
		}
		if err == nil {
			_, err = b.r.Next()
		}
		return b, err
	}
	task, err := dial(was, was)
	if err != nil {
		t.Fatal(err)
	}

	// One of the files is wrong: nothing changes.
	files(now)
	write(t, dir, "key", []byte("none"))
	wantLog(t, s.hangUp(t), "Task.TLSCert and TLSKey: ", "Worker.TLSCert and TLSKey: ", "problems=2")
	if _, err := dial(was, was); err != nil {
		t.Errorf("after a reload that was rejected: %v", err)
	}

	files(now)
	log := s.hangUp(t)
	wantLog(t, log, `msg="certificate changed" key=Task.TLSCert was="sha256:`, `msg="certificate changed" key=Task.TLSClientCA was=sha256:`,
		`msg="certificate changed" key=Worker.TLSCert`, "changed=0")
	if _, err := dial(now, now); err != nil {
		t.Errorf("by the certificates of now: %v", err)
	}
	if _, err := dial(now, was); err == nil {
		t.Error("a certificate of an authority that does not count any more was taken")
	}
	if _, err := dial(was, now); err == nil {
		t.Error("the certificate of before was shown")
	}
	task.send(t, protocol.Cmd_UniqIdCount, nil)
	task.next(t, protocol.Cmd_UniqIdCount, new(protocol.UniqIdCountResp))

	// TLS cannot be switched off while it runs, whatever becomes of the files.
	if err := os.Remove(path("ca")); err != nil {
		t.Fatal(err)
	}
	wantLog(t, s.hangUp(t), "Task.TLSClientCA: open ", "problems=1")
	log = reload("[Worker]\nChoice = \"client\"\n")
	wantLog(t, log, `msg="restart needed" key=Task.TLSCert`, `msg="restart needed" key=Task.TLSKey`, `msg="restart needed" key=Task.TLSClientCA`,
		"changed=0 needRestart=3")
	if _, err := dial(now, now); err != nil {
		t.Errorf("by TLS, as before: %v", err)
	}
}

// Another secret holds for who connects then, be it out of the same file. None is
// shown.
func TestReloadSecrets(t *testing.T) {
	const other = "another horse battery staple"
	dir := t.TempDir()
	file := write(t, dir, "secret", []byte(known))
	s, reload := configured(t, "[Task]\nSecret = \""+known+"\"\n", "-Worker.SecretFile", file)
	prove := func(text, listener string) error {
		addr := s.worker
		if listener == secret.Task {
			addr = s.task
		}
		return secret.Prove(dialBusiness(t, addr), text, listener)
	}
	check := func(worker, task string) {
		t.Helper()
		for _, tt := range []struct{ listener, secret string }{{secret.Worker, worker}, {secret.Task, task}} {
			for _, tried := range []string{known, other} {
				if err := prove(tried, tt.listener); (err == nil) != (tried == tt.secret) {
					t.Errorf("%s, %q: %v, want the secret %q", tt.listener, tried, err, tt.secret)
				}
			}
		}
	}
	check(known, known)
	before := dialBusiness(t, s.task)
	if err := secret.Prove(before, known, secret.Task); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "secret", []byte(other))
	wantLog(t, s.hangUp(t), `msg="secret changed" listener=worker`, "changed=0 needRestart=0")
	check(other, known)
	wantLog(t, reload("[Task]\nSecret = \""+other+"\"\n"), `msg="setting changed" key=Task.Secret was=*** now=***`,
		`msg="secret changed" listener=task`, "changed=1 needRestart=0")
	check(other, other)
	before.send(t, protocol.Cmd_UniqIdCount, nil)
	before.next(t, protocol.Cmd_UniqIdCount, new(protocol.UniqIdCountResp))

	write(t, dir, "secret", []byte("short"))
	wantLog(t, reload("LogLevel = \"debug\"\n[Task]\nSecret = \""+known+"\"\n"), "Worker.SecretFile: what is in ", "has 5 bytes", "reload rejected")
	check(other, other)
	write(t, dir, "secret", []byte(known))
	wantLog(t, reload(""), `msg="restart needed" key=Task.Secret`, "changed=0 needRestart=1")
	check(known, other)
	if log := s.log.String(); strings.Contains(log, known) || strings.Contains(log, other) {
		t.Errorf("the log shows a secret:\n%s", log)
	}
}

// A file that is not to be used any more may be gone before the restart that this
// needs.
func TestReloadWithoutFiles(t *testing.T) {
	file := write(t, t.TempDir(), "secret", []byte(known))
	text := "[Task]\nSecretFile = \"" + file + "\"\n"
	s, reload := configured(t, text)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	wantLog(t, s.hangUp(t), "Task.SecretFile: open ", "problems=1")
	wantLog(t, reload("[Limit]\nOnOpen = 9\n"), "key=Limit.OnOpen", `msg="restart needed" key=Task.SecretFile`, "changed=1 needRestart=1")
	if err := secret.Prove(dialBusiness(t, s.task), known, secret.Task); err != nil {
		t.Error(err)
	}
}

// The level changes; the difference is told by whichever level tells more.
func TestReloadLogLevel(t *testing.T) {
	s, reload := configured(t, "LogLevel = \"error\"\n")
	wantLog(t, reload("LogLevel = \"info\"\n"), "key=LogLevel was=error now=info\n", "msg=reloaded")
	wantLog(t, reload("LogLevel = \"error\"\n"), "key=LogLevel was=info now=error\n", "msg=reloaded")
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if log := s.log.String(); strings.Contains(log, "msg=starting") || strings.Contains(log, "msg=stopped") {
		t.Errorf("with the level error, the log has:\n%s", log)
	}
}

// A log file that was moved away is left, one of another name is begun.
func TestReloadLogFile(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	read := func(name string) string {
		text, err := os.ReadFile(path(name))
		if err != nil && !os.IsNotExist(err) {
			t.Error(err)
		}
		return string(text)
	}
	s, reload := configured(t, "LogFile = \""+path("log")+"\"\n")
	if err := os.Rename(path("log"), path("log.1")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	wantLog(t, awaitLog(t, func() string { return read("log") }), "msg=reloaded changed=0 needRestart=0\n")
	if log := read("log.1"); !strings.Contains(log, "msg=starting") || strings.Contains(log, "msg=reloaded") {
		t.Errorf("the file that was moved away has:\n%s", log)
	}
	wantLog(t, reload(""), "key=LogFile was="+path("log")+" now=\"\"\n", "msg=reloaded")
	if log := read("log"); strings.Count(log, "\n") != 1 {
		t.Errorf("the file that was left has:\n%s", log)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	wantLog(t, s.log.String(), "msg=stopped")
}

// Where a step cannot be taken, those before it are taken back.
func TestAllOrNothing(t *testing.T) {
	was, now := terms{secrets: secrets{worker: "was"}}, terms{secrets: secrets{worker: "now"}}
	failed := errors.New("failed")
	for fails, want := range map[int]string{0: "", 1: "0:now 0:was ", 2: "0:now 1:now 0:was 1:was ", 3: "0:now 1:now 2:now "} {
		var taken strings.Builder
		var steps []step
		for i := range 3 {
			steps = append(steps, func(_, to terms) error {
				if i == fails {
					return failed
				}
				fmt.Fprintf(&taken, "%d:%s ", i, to.secrets.worker)
				return nil
			})
		}
		if err := allOrNothing(was, now, steps...); errors.Is(err, failed) != (fails < 3) || taken.String() != want {
			t.Errorf("step %d fails: %v, taken %q, want %q", fails, err, taken.String(), want)
		}
	}
}

// A process survives the signal at any time, from its start to its end.
func TestReloadAtAnyTime(t *testing.T) {
	cmd, _, stderr := process(t)
	for range 50 {
		if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	awaitLog(t, stderr.String)
	for _, sig := range []os.Signal{syscall.SIGHUP, syscall.SIGTERM, syscall.SIGHUP} {
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v, want exit code 0\n%s", err, stderr)
	}
	wantLog(t, stderr.String(), "msg=starting version=", "msg=stopped")
}
