package remote_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	peer "github.com/buexplain/netsvr-protocol-go/v6/netsvrProtocol"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks/remote"
	"github.com/sluicegate/sluice/internal/await"
	"github.com/sluicegate/sluice/internal/certs"
	"github.com/sluicegate/sluice/internal/secret"
	"github.com/sluicegate/sluice/protocol/business"
)

// tlsConfigs are of both ends: of a listener that demands client certificates, and
// of a client that has one.
func tlsConfigs(t *testing.T) (listener, client *tls.Config) {
	a := certs.New(t)
	listener = &tls.Config{Certificates: []tls.Certificate{a.Certificate()}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: a.Pool}
	client = &tls.Config{Certificates: []tls.Certificate{a.Certificate()}, RootCAs: a.Pool, ServerName: "127.0.0.1"}
	return listener, client
}

// secure speaks TLS over a connection.
func (c *rawConn) secure(cfg *tls.Config) *rawConn {
	return &rawConn{Conn: tls.Client(c.Conn, cfg), t: c.t}
}

// Who has a certificate of the authority that was named is served, and nobody
// else is.
func TestMutualTLS(t *testing.T) {
	listening, good := tlsConfigs(t)
	_, foreign := tlsConfigs(t)
	foreign.RootCAs = good.RootCAs
	without := good.Clone()
	without.Certificates = nil
	h := startListening(t, abroad(100*time.Millisecond), both(remote.Listener{TLS: listening}), gateway.Config{})
	dial := func(listener string) *rawConn { return dialRaw(t, h.addr(listener)).secure(good) }
	h.serves(dial)
	n := int64(0)
	for _, listener := range []string{secret.Worker, secret.Task} {
		for name, tc := range map[string]struct {
			cfg *tls.Config
			log string
		}{
			"no certificate":      {without, "client didn't provide a certificate"},
			"another authority's": {foreign, "unknown authority"},
			"plain TCP":           {nil, "first record does not look like a TLS handshake"},
			"silence":             {nil, ""},
		} {
			c := dialRaw(t, h.addr(listener))
			if tc.cfg != nil {
				c = c.secure(tc.cfg)
			}
			if name != "silence" {
				_, _ = c.Write(packet(peer.Cmd_UniqIdCount, nil))
			}
			if name == "plain TCP" {
				_, _, _ = c.next() // a TLS alert, if anything
			} else if cmd, _, err := c.next(); err == nil {
				t.Errorf("%s: %s was answered %v", listener, name, cmd)
			}
			n++
			h.refused(n)
			if n <= 4 {
				h.awaitLog(tc.log)
			}
		}
	}
	if s := h.rt.Stats(); s.Malformed != 0 || s.Strangers != 0 {
		t.Errorf("%+v", s)
	}
	h.serves(dial)
}

// A config that another one is put in the place of must not let anybody in who
// has no certificate.
func TestMutualTLSIsNotTalkedOut(t *testing.T) {
	listening, client := tlsConfigs(t)
	lax := listening.Clone()
	lax.ClientAuth = tls.NoClientCert
	listening.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return lax, nil }
	h := startListening(t, abroad(0), both(remote.Listener{TLS: listening}), gateway.Config{})
	c := dialRaw(t, h.rt.TaskAddr()).secure(client)
	_, _ = c.Write(packet(peer.Cmd_UniqIdCount, nil))
	if cmd, _, err := c.next(); err == nil {
		t.Errorf("it was answered %v", cmd)
	}
	h.refused(1)
	h.awaitLog("no certificate")
}

// TLS that asks for no certificate leaves it to the secret to say who may come;
// on this computer anyone may, but by TLS too.
func TestTLSAndSecret(t *testing.T) {
	listening, client := tlsConfigs(t)
	listening.ClientAuth = tls.NoClientCert
	l := remote.Listener{TLS: listening, Secret: known}
	t.Run("strangers", func(t *testing.T) {
		h := startListening(t, abroad(0), both(l), gateway.Config{})
		h.serves(func(listener string) *rawConn {
			c := dialRaw(t, h.addr(listener)).secure(client)
			must(t, secret.Prove(c, known, listener))
			return c
		})
		c := dialRaw(t, h.rt.TaskAddr()).secure(client)
		_, err := c.Write(packet(peer.Cmd_UniqIdCount, nil))
		must(t, err)
		if cmd, body, err := c.next(); err != nil || cmd != 0 || len(body) != 0 {
			t.Errorf("without a proof: %v, % x, %v", cmd, body, err)
		}
		h.refused(1)
	})
	t.Run("on this computer", func(t *testing.T) {
		h := start(t, both(l), gateway.Config{})
		h.serves(func(listener string) *rawConn { return dialRaw(t, h.addr(listener)).secure(client) })
		c := dialRaw(t, h.rt.TaskAddr())
		_, err := c.Write(packet(peer.Cmd_UniqIdCount, nil))
		must(t, err)
		_, _, _ = c.next()
		h.refused(1)
	})
}

// Over TLS, too, a process that leaves finishes first, what it has commanded is
// not overtaken, and its half of the connection can be ended alone.
func TestOrderOverTLS(t *testing.T) {
	listening, client := tlsConfigs(t)
	h := startListening(t, abroad(0), both(remote.Listener{TLS: listening}), gateway.Config{MailboxLimit: 64 << 20, WriteLimit: 64 << 20})
	dial := func(listener string) *rawConn { return dialRaw(t, h.addr(listener)).secure(client) }
	first, second, old := dial(secret.Worker), dial(secret.Worker), dial(secret.Task)
	id := first.register(allEvents)
	_, err := (&rawBus{c: old}).UniqIDCount(t.Context()) // it is let in
	must(t, err)
	a := h.join()
	first.expectEvents("open " + a.id)
	second.register(allEvents)
	a.send("one")
	first.expectEvents(a.id + ":one")
	first.unregister(id)
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		second.expectEvents(a.id + ":two")
		(&rawBus{c: dial(secret.Task)}).c.send(peer.Cmd_SingleCast, &peer.SingleCast{UniqId: a.id, Data: msg("new")})
	}()
	const n = 20_000
	read := make(chan error, 1)
	go func() {
		for i := range n {
			if got := a.read(); got != fmt.Sprint("old ", i) {
				read <- fmt.Errorf("got %q in the place of %d", got, i)
				return
			}
		}
		if got := a.read(); got != "new" {
			read <- fmt.Errorf("got %q last", got)
			return
		}
		read <- nil
	}()
	var all []byte
	for i := range n {
		all = append(all, packet(peer.Cmd_SingleCast, &peer.SingleCast{UniqId: a.id, Data: fmt.Append(nil, "old ", i)})...)
	}
	_, err = old.Write(all)
	must(t, err)
	a.send("two") // it waits for what the first process has sent
	must(t, first.Close())
	must(t, <-read)
	<-answered

	// The gateway says goodbye by half, and takes what still comes.
	stopped := make(chan error, 1)
	go func() { stopped <- h.stop() }()
	if _, _, err := a.ReadMessage(); err == nil {
		t.Error("the client was not closed")
	}
	second.expectEvents("close " + a.id)
	second.expectEnd()
	_, err = second.Write(packet(peer.Cmd_Unregister, nil))
	must(t, err)
	must(t, second.Close())
	must(t, <-stopped)
}

// The SDK proves the secret over TLS with a certificate of its own, again and
// again, and says in its log why it is not let in.
func TestSDKIsTrusted(t *testing.T) {
	listening, client := tlsConfigs(t)
	client.ServerName = ""
	h := startListening(t, abroad(0), both(remote.Listener{TLS: listening, Secret: known}), gateway.Config{})
	worker, task := newProxy(t, h.rt.WorkerAddr()), newProxy(t, h.rt.TaskAddr())
	log := &logged{t: t}
	cfg := business.Config{
		Gateways: []business.Gateway{{Worker: worker.addr(), Task: task.addr()}}, Router: echo(), TaskConns: 2,
		Secret: known, TLS: client, MinBackoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond, Wait: wait,
		Logger: slog.New(slog.NewTextHandler(log, nil)),
	}
	run := func(cfg business.Config) (c *business.Client, stop func()) {
		c, err := business.New(cfg)
		must(t, err)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		return c, func() {
			cancel()
			must(t, <-ended)
		}
	}
	c, stop := run(cfg)
	<-c.Ready()
	a := h.join()
	for i := range 5 {
		a.send(fmt.Sprint(i))
		a.expect(fmt.Sprint(i))
		worker.cut()
		task.cut()
		await.Until(t, func() string {
			registered := strings.Count(h.log.String(), "business process registered")
			if s := h.rt.Stats(); registered != i+2 || s.Processes != 1 || s.Tasks != 2 {
				return fmt.Sprintf("registered %d times, %+v", registered, s)
			}
			return ""
		})
	}
	a.send("last")
	a.expect("last")
	stop()
	if s := h.rt.Stats(); s.InDoubt != 0 || s.Processes != 0 {
		t.Errorf("%+v", s)
	}

	for name, tc := range map[string]struct {
		change  func(*business.Config)
		log     string
		refused bool
	}{
		"another secret": {func(c *business.Config) { c.Secret = "not " + known }, "the gateway refused the secret: gateway " + task.addr() + " has another one", true},
		"no secret":      {func(c *business.Config) { c.Secret = "" }, "the gateway refused the secret, or the lack of one: set Config.Secret", true},
		"no TLS":         {func(c *business.Config) { c.TLS = nil }, "proving the secret to gateway " + task.addr(), false},
		"no certificate": {func(c *business.Config) {
			c.TLS = c.TLS.Clone()
			c.TLS.Certificates = nil
		}, "certificate required", false},
		"nobody there": {func(c *business.Config) {
			c.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no network") }
		}, "no network", false},
	} {
		t.Run(name, func(t *testing.T) {
			log := &logged{t: t}
			cfg := cfg
			cfg.Router, cfg.Wait, cfg.StopTimeout = nil, 200*time.Millisecond, 10*time.Millisecond
			cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
			tc.change(&cfg)
			c, stop := run(cfg)
			defer stop()
			if cfg.Secret == "" { // it is let know when it says something
				_, _ = c.UniqIDCount(t.Context())
			}
			await.Until(t, func() string {
				if !strings.Contains(log.String(), tc.log) {
					return fmt.Sprintf("the log does not say %q:\n%s", tc.log, log)
				}
				return ""
			})
			_, err := c.UniqIDCount(t.Context())
			if err == nil || tc.refused != errors.Is(err, business.ErrRefused) {
				t.Errorf("a question: %v", err)
			}
			if strings.Contains(log.String(), known) {
				t.Error("the secret is in the log")
			}
		})
	}
}
