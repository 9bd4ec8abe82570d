package remote_test

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	peer "github.com/buexplain/netsvr-protocol-go/v6/netsvrProtocol"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks/remote"
	"github.com/sluicegate/sluice/internal/await"
	"github.com/sluicegate/sluice/internal/certs"
	"github.com/sluicegate/sluice/internal/secret"
)

// known is what the two ends of these tests know.
const known = "correct horse battery staple"

// abroad listens as if nobody were on this computer: all peers are strangers.
func abroad(patience time.Duration) func(remote.Config) (*remote.Router, error) {
	return func(cfg remote.Config) (*remote.Router, error) {
		return remote.ListenAbroad(cfg, func(netip.Addr) bool { return false }, patience)
	}
}

// both is a Config whose two listeners let in whom l does.
func both(l remote.Listener) remote.Config {
	c := buffered()
	c.Worker, c.Task = l, l
	return c
}

func (h *host) addr(listener string) net.Addr {
	if listener == secret.Worker {
		return h.rt.WorkerAddr()
	}
	return h.rt.TaskAddr()
}

// proven dials a listener and proves the secret.
func (h *host) proven(listener string) *rawConn {
	h.t.Helper()
	c := dialRaw(h.t, h.addr(listener))
	must(h.t, secret.Prove(c, known, listener))
	return c
}

// serves checks that a process that may come is served on both listeners.
func (h *host) serves(dial func(listener string) *rawConn) {
	h.t.Helper()
	w := dial(secret.Worker)
	w.register(allEvents)
	c := h.join()
	w.expectEvents("open " + c.id)
	task := dial(secret.Task)
	must(h.t, (&rawBus{c: task}).SingleCast(h.t.Context(), c.id, msg("served")))
	c.expect("served")
	must(h.t, errors.Join(w.Close(), task.Close()))
	await.Until(h.t, func() string {
		if s := h.rt.Stats(); s.Processes+s.Tasks > 0 {
			return fmt.Sprintf("its connections have not ended: %+v", s)
		}
		return ""
	})
}

// refused waits until so many were.
func (h *host) refused(n int64) {
	h.t.Helper()
	await.Until(h.t, func() string {
		if got := h.rt.Stats().Refused; got != n {
			return fmt.Sprintf("%d refused, want %d", got, n)
		}
		return ""
	})
}

// expectRefusal waits for the gateway's word that it wants a proof, and the end.
func (c *rawConn) expectRefusal() {
	c.t.Helper()
	if cmd, body, err := c.next(); err != nil || cmd != 0 || len(body) != 0 {
		c.t.Fatalf("got command %v with % x, %v, want a refusal", cmd, body, err)
	}
	c.expectEnd()
}

// Without a host, an address is on this computer; others must say who may come.
func TestListenersAreOnLoopback(t *testing.T) {
	authority := certs.New(t)
	withTLS := &tls.Config{Certificates: []tls.Certificate{authority.Certificate()}}
	mutual := withTLS.Clone()
	mutual.ClientAuth, mutual.ClientCAs = tls.RequireAndVerifyClientCert, authority.Pool
	lax := withTLS.Clone()
	lax.ClientAuth = tls.RequireAnyClientCert
	for _, tc := range []struct {
		name string
		l    remote.Listener
		ok   bool
	}{
		{"no host", remote.Listener{Addr: ":0"}, true},
		{"loopback", remote.Listener{Addr: "127.0.0.1:0"}, true},
		{"a name of it", remote.Listener{Addr: "localhost:0"}, true},
		{"everywhere", remote.Listener{Addr: "0.0.0.0:0"}, false},
		{"everywhere, in IPv6", remote.Listener{Addr: "[::]:0"}, false},
		{"a secret", remote.Listener{Addr: "0.0.0.0:0", Secret: known}, true},
		{"client certificates", remote.Listener{Addr: "0.0.0.0:0", TLS: mutual}, true},
		{"no client certificates", remote.Listener{Addr: "0.0.0.0:0", TLS: withTLS}, false},
		{"any client certificates", remote.Listener{Addr: "0.0.0.0:0", TLS: lax}, false},
		{"networks", remote.Listener{Addr: "0.0.0.0:0", Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, true},
		{"in plain words", remote.Listener{Addr: "0.0.0.0:0", InsecureAllowAnyone: true}, true},
	} {
		for name, cfg := range map[string]remote.Config{"worker": {Worker: tc.l}, "task": {Task: tc.l}} {
			cfg.Logger = quiet()
			rt, err := remote.Listen(cfg)
			if err == nil {
				at := rt.WorkerAddr()
				if name == "task" {
					at = rt.TaskAddr()
				}
				if !strings.Contains(tc.l.Addr, "0.0.0.0") && !at.(*net.TCPAddr).IP.IsLoopback() {
					t.Errorf("%s, %s: it listens on %v", tc.name, name, at)
				}
				must(t, rt.Discard())
			} else if !strings.Contains(err.Error(), name+" listener: ") || !strings.Contains(err.Error(), "say InsecureAllowAnyone") {
				t.Errorf("%s, %s: %v", tc.name, name, err)
			}
			if (err == nil) != tc.ok {
				t.Errorf("%s, %s: %v", tc.name, name, err)
			}
		}
	}
}

// A client of the protocol that knows of no secret is served on this computer
// as ever, and may prove the secret; a proof that is wrong is no help there.
func TestSecretOnLoopback(t *testing.T) {
	h := start(t, both(remote.Listener{Secret: known}), gateway.Config{})
	h.serves(func(listener string) *rawConn { return dialRaw(t, h.addr(listener)) })
	h.serves(h.proven)
	for _, listener := range []string{secret.Worker, secret.Task} {
		c := dialRaw(t, h.addr(listener))
		if err := secret.Prove(c, "not "+known, listener); !errors.Is(err, secret.ErrDiffers) {
			t.Errorf("%s: %v", listener, err)
		}
		c.forge()
		c.expectRefusal()
	}
	h.refused(2)
	// A packet may come in pieces, and be followed by another at once.
	c := dialRaw(t, h.rt.TaskAddr())
	for _, b := range append(packet(peer.Cmd_UniqIdCount, nil), packet(peer.Cmd_UniqIdCount, nil)...) {
		_, err := c.Write([]byte{b})
		must(t, err)
	}
	c.expect(peer.Cmd_UniqIdCount, new(peer.UniqIdCountResp))
	c.expect(peer.Cmd_UniqIdCount, new(peer.UniqIdCountResp))
}

// forge sends a proof that is none.
func (c *rawConn) forge() {
	c.t.Helper()
	_, err := c.Write(packetOf(0, make([]byte, 32)))
	must(c.t, err)
}

// hello is the packet by which a handshake begins.
func hello() []byte { return packetOf(0, append([]byte{1}, make([]byte, 32)...)) }

// A stranger that knows the secret is served, all others are closed, counted
// and named in the log.
func TestStrangers(t *testing.T) {
	h := startListening(t, abroad(100*time.Millisecond), both(remote.Listener{Secret: known}), gateway.Config{})
	h.serves(h.proven)
	n := int64(0)
	for _, listener := range []string{secret.Worker, secret.Task} {
		first := packet(peer.Cmd_Register, &peer.RegisterReq{Events: int32(allEvents)})
		if listener == secret.Task {
			first = packet(peer.Cmd_UniqIdCount, nil)
		}
		for _, tc := range []struct {
			name, log string
			act       func(c *rawConn)
		}{
			{"an existing client", "did not begin with the proof", func(c *rawConn) {
				_, err := c.Write(first)
				must(t, err)
				c.expectRefusal()
			}},
			{"a heartbeat first", "did not begin with the proof", func(c *rawConn) {
				_, err := c.Write(append(binary.BigEndian.AppendUint32(nil, 14), "~6YOt5rW35piO~"...))
				must(t, err)
				c.expectRefusal()
			}},
			{"a wrong proof", "does not know the secret", func(c *rawConn) {
				_, err := c.Write(hello())
				must(t, err)
				_, _, err = c.next()
				must(t, err)
				c.forge()
				c.expectRefusal()
			}},
			{"a proof unasked for", "does not know the secret", func(c *rawConn) {
				_, err := c.Write(append(hello(), packetOf(0, make([]byte, 32))...))
				must(t, err)
				_, _, err = c.next()
				must(t, err)
				c.expectRefusal()
			}},
			{"silence", "not shown who it is within 100ms", func(c *rawConn) { c.expectEnd() }},
			{"half a hello", "not shown who it is within 100ms", func(c *rawConn) {
				_, err := c.Write(hello()[:20])
				must(t, err)
				c.expectEnd()
			}},
			{"no proof after the hello", "not shown who it is within 100ms", func(c *rawConn) {
				_, err := c.Write(hello())
				must(t, err)
				_, _, err = c.next()
				must(t, err)
				c.expectEnd()
			}},
			{"a huge packet", "did not begin with the proof", func(c *rawConn) {
				_, err := c.Write(binary.BigEndian.AppendUint32(nil, 1<<31))
				must(t, err)
				c.expectRefusal()
			}},
		} {
			t.Run(listener+" "+tc.name, func(t *testing.T) {
				c := dialRaw(t, h.addr(listener))
				tc.act(c)
				n++
				h.refused(n)
				if s := h.rt.Stats(); s.Strangers != 0 || s.Processes != 0 || s.Malformed != 0 {
					t.Errorf("%+v", s)
				}
				if n <= 5 { // the log is not flooded by them
					h.awaitLog(tc.log)
				}
			})
		}
	}
	if strings.Contains(h.log.String(), known) {
		t.Error("the secret is in the log")
	}
	h.serves(h.proven)
}

// What has been a proof once is none again, neither on a new connection nor on
// the other listener.
func TestReplayedProof(t *testing.T) {
	h := startListening(t, abroad(0), both(remote.Listener{Secret: known}), gateway.Config{})
	overheard := &tap{Conn: dialRaw(t, h.rt.TaskAddr())}
	must(t, secret.Prove(overheard, known, secret.Task))
	if len(overheard.sent) != 41+40 {
		t.Fatalf("% x", overheard.sent)
	}
	for _, listener := range []string{secret.Task, secret.Worker} {
		c := dialRaw(t, h.addr(listener))
		_, err := c.Write(overheard.sent)
		must(t, err)
		if _, answer, err := c.next(); err != nil || len(answer) != 64 {
			t.Fatalf("% x, %v", answer, err)
		}
		c.expectRefusal()
	}
	// A proof for one listener does not open the other, even with its nonces.
	c := dialRaw(t, h.rt.WorkerAddr())
	if err := secret.Prove(c, known, secret.Task); !errors.Is(err, secret.ErrDiffers) {
		t.Errorf("on the other listener: %v", err)
	}
	h.refused(2)
}

// tap writes down what is sent.
type tap struct {
	net.Conn
	sent []byte
}

func (t *tap) Write(p []byte) (int, error) {
	t.sent = append(t.sent, p...)
	return t.Conn.Write(p)
}

// However many strangers come and stay, they cost no process its place and keep
// none out; the oldest of them go.
func TestCrowdOfStrangers(t *testing.T) {
	cfg := both(remote.Listener{Secret: known, MaxConns: 2})
	h := startListening(t, abroad(wait), cfg, gateway.Config{})
	h.serves(h.proven)
	all := make([]*rawConn, remote.LobbySize)
	for i := range all {
		all[i] = dialRaw(t, h.rt.WorkerAddr())
		if i%2 == 0 {
			_, err := all[i].Write(hello())
			must(t, err)
		}
	}
	await.Until(t, func() string {
		if n := h.rt.Stats().Strangers; n != len(all) {
			return fmt.Sprintf("%d strangers, want %d", n, len(all))
		}
		return ""
	})
	h.serves(h.proven)
	all[0].next() // the answer to its hello
	all[0].expectEnd()
	h.refused(1)
	h.awaitLog("had taken longest")
	for range remote.LobbySize {
		dialRaw(t, h.rt.WorkerAddr())
	}
	h.refused(int64(len(all)))
	for _, c := range all {
		if _, err := io.Copy(io.Discard, c); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Fatal(err) // the deadline
		}
	}
	h.serves(h.proven)
	if err := h.stop(); err != nil { // it does not wait for them
		t.Error(err)
	}
	if n := h.rt.Stats().Strangers; n != 0 {
		t.Errorf("%d strangers are left", n)
	}
}

// dialFrom dials from another address of this computer's.
func dialFrom(t *testing.T, from string, to net.Addr) *rawConn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", to.String())
	if err != nil {
		t.Skip("only 127.0.0.1 is on this computer:", err)
	}
	_ = c.SetDeadline(time.Now().Add(wait))
	t.Cleanup(func() { c.Close() })
	return &rawConn{Conn: c, t: t}
}

// Networks that are named need no secret. Without one, nobody else is let in.
func TestTrustedNetworks(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32"), netip.MustParsePrefix("127.1.0.0/16")}
	for name, l := range map[string]remote.Listener{
		"alone": {Trusted: trusted}, "with a secret": {Trusted: trusted, Secret: known},
	} {
		t.Run(name, func(t *testing.T) {
			h := startListening(t, abroad(0), both(l), gateway.Config{})
			for _, from := range []string{"127.0.0.2", "127.1.2.3"} {
				h.serves(func(listener string) *rawConn { return dialFrom(t, from, h.addr(listener)) })
			}
			n := int64(0)
			for _, from := range []string{"127.0.0.1", "127.0.0.3", "127.2.0.1"} {
				for _, listener := range []string{secret.Worker, secret.Task} {
					c := dialFrom(t, from, h.addr(listener))
					if l.Secret != "" {
						_, err := c.Write(packet(peer.Cmd_Unregister, nil))
						must(t, err)
						c.expectRefusal()
					} else {
						c.expectEnd()
						h.awaitLog("nor in a trusted network")
					}
					n++
					h.refused(n)
				}
			}
			if l.Secret != "" {
				h.serves(h.proven)
			}
		})
	}
}

// In plain words, everybody is let in.
func TestAnyone(t *testing.T) {
	h := startListening(t, abroad(0), both(remote.Listener{InsecureAllowAnyone: true}), gateway.Config{})
	h.serves(func(listener string) *rawConn { return dialRaw(t, h.addr(listener)) })
}
