package remote_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	peer "github.com/buexplain/netsvr-protocol-go/v6/netsvrProtocol"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/remote"
	"github.com/sluicegate/sluice/internal/await"
	"github.com/sluicegate/sluice/protocol"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/pipe"
)

func TestRegister(t *testing.T) {
	h := start(t, remote.Config{}, gateway.Config{})
	for _, tc := range []struct {
		name   string
		events int32
		want   peer.RegisterRespCode
	}{
		{"all", int32(allEvents), peer.RegisterRespCode_Success},
		{"one", int32(peer.Event_OnClose), peer.RegisterRespCode_Success},
		{"one and bits of the future", int32(peer.Event_OnClose) | 1<<20, peer.RegisterRespCode_Success},
		{"none", 0, peer.RegisterRespCode_InvalidEvent},
		{"only bits of the future", 8, peer.RegisterRespCode_InvalidEvent},
		{"negative, all bits", -1, peer.RegisterRespCode_Success},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := dialRaw(t, h.rt.WorkerAddr())
			c.send(peer.Cmd_Register, &peer.RegisterReq{Events: tc.events})
			var resp peer.RegisterResp
			c.expect(peer.Cmd_Register, &resp)
			if resp.Code != tc.want || resp.Message != tc.want.String() {
				t.Errorf("answered %v", &resp)
			}
			if (resp.Code == peer.RegisterRespCode_Success) != (resp.ConnId != "") {
				t.Errorf("connId %q with code %v", resp.ConnId, resp.Code)
			}
			if resp.ConnId == "" {
				return
			}
			id, err := protocol.ParseConnID(resp.ConnId)
			if err != nil || id.Worker.String() != h.rt.WorkerAddr().String() || id.Business.String() != c.LocalAddr().String() {
				t.Errorf("connId %+v, %v", id, err)
			}
			c.send(peer.Cmd_Register, &peer.RegisterReq{Events: tc.events})
			var again peer.RegisterResp
			c.expect(peer.Cmd_Register, &again)
			if again.Code != peer.RegisterRespCode_DuplicateRegister || again.Message != "DuplicateRegister" || again.ConnId != "" {
				t.Errorf("a second Register was answered %v", &again)
			}
		})
	}
	t.Run("body that does not parse", func(t *testing.T) {
		c := dialRaw(t, h.rt.WorkerAddr())
		_, err := c.Write(packetOf(uint32(peer.Cmd_Register), noMessage()))
		must(t, err)
		var resp peer.RegisterResp
		c.expect(peer.Cmd_Register, &resp)
		if resp.Code != peer.RegisterRespCode_UnmarshalError || resp.Message != "UnmarshalError" || resp.ConnId != "" {
			t.Errorf("answered %v", &resp)
		}
		c.register(allEvents) // the connection stays
	})
}

// Unregister is always answered, and the connection stays usable.
func TestUnregister(t *testing.T) {
	h := start(t, remote.Config{}, gateway.Config{})
	other, otherID := h.worker(allEvents)
	c := dialRaw(t, h.rt.WorkerAddr())
	answered := func(connID string) {
		t.Helper()
		c.send(peer.Cmd_Unregister, &peer.UnRegisterReq{ConnId: connID})
		c.expect(peer.Cmd_Unregister, new(peer.UnRegisterResp))
	}
	answered("") // before there is anything to end
	for range 2 {
		id := c.register(allEvents)
		for _, wrong := range []string{"", "nobody", otherID} {
			answered(wrong)
		}
		if n := h.rt.Stats().Processes; n != 2 {
			t.Fatalf("%d processes after Unregister with wrong ids, want 2", n)
		}
		answered(id)
		if n := h.rt.Stats().Processes; n != 1 {
			t.Fatalf("%d processes after Unregister, want the other one", n)
		}
	}
	_, err := c.Write(packetOf(uint32(peer.Cmd_Unregister), noMessage()))
	must(t, err)
	c.expect(peer.Cmd_Unregister, new(peer.UnRegisterResp))
	must(t, other.Close())
}

// The reply to Register comes before any event, though events wait for it.
func TestRegisterReplyComesFirst(t *testing.T) {
	h := start(t, remote.Config{Buffer: 1 << 20, BufferAge: wait}, gateway.Config{Inline: true})
	for range 20 {
		h.join()
	}
	c, _ := h.worker(allEvents) // it expects the reply
	for range 20 {
		c.expect(peer.Cmd_ConnOpen, new(peer.ConnOpen))
	}
	if s := h.rt.Stats(); s.Waiting != 0 || s.WaitingBytes != 0 {
		t.Errorf("the buffer still holds %+v", s)
	}
}

// What is not UTF-8 does not cost a client its events.
func TestForeignBytes(t *testing.T) {
	h := start(t, remote.Config{}, gateway.Config{})
	w, _ := h.worker(allEvents)
	c := h.connect("/?a=\xff", map[string][]string{"X-Forwarded-For": {"\xfe"}, "X-Real-Ip": {"ok"}})
	var open peer.ConnOpen
	w.expect(peer.Cmd_ConnOpen, &open)
	if open.XForwardedFor != "\uFFFD" || open.XRealIp != "ok" || !strings.HasPrefix(open.RawQuery, "a=") {
		t.Errorf("ConnOpen %v", &open)
	}
	must(t, h.UpdateConnInfo(t.Context(), hooks.ConnInfoUpdate{UniqID: open.UniqId, NewSession: "\xff", NewTopics: []string{"fine", "\xfd"}}))
	c.send("x")
	var m peer.Transfer
	w.expect(peer.Cmd_Transfer, &m)
	slices.Sort(m.Topics)
	if m.Session != "\uFFFD" || !slices.Equal(m.Topics, []string{"fine", "\uFFFD"}) || string(m.Data) != "x" {
		t.Errorf("Transfer %v", &m)
	}
	// A question whose answer has such text is answered, too.
	task := &rawBus{c: dialRaw(t, h.rt.TaskAddr())}
	topics, err := task.Topics(t.Context())
	must(t, err)
	if slices.Sort(topics); !slices.Equal(topics, []string{"fine", "\uFFFD"}) {
		t.Errorf("topics %q", topics)
	}
}

// A uniqId begins with the address of the task listener.
func TestUniqIDNamesTheTaskListener(t *testing.T) {
	h := start(t, remote.Config{}, gateway.Config{})
	id, err := protocol.ParseUniqID(h.join().id)
	must(t, err)
	if id.Node.String() != h.rt.TaskAddr().String() {
		t.Errorf("uniqId names %v, the task listener is %v", id.Node, h.rt.TaskAddr())
	}
}

func TestListenErrors(t *testing.T) {
	taken, err := remote.Listen(remote.Config{Worker: remote.Listener{Addr: "127.0.0.1:0"}})
	must(t, err)
	defer taken.Discard()
	for name, tc := range map[string]struct {
		cfg  remote.Config
		want string
	}{
		"nothing":      {remote.Config{}, "set Worker.Addr, Task.Addr or both"},
		"port taken":   {remote.Config{Task: remote.Listener{Addr: taken.WorkerAddr().String()}}, "task listener"},
		"buffer only":  {remote.Config{Worker: remote.Listener{Addr: "x"}, Buffer: 1}, "BufferAge"},
		"negative":     {remote.Config{Worker: remote.Listener{Addr: "x"}, Queue: -1}, "Config.Queue"},
		"deadline":     {remote.Config{Task: remote.Listener{Addr: "x", ReadDeadline: -1}}, "Config.Task.ReadDeadline"},
		"short secret": {remote.Config{Task: remote.Listener{Addr: "x", Secret: "too short"}}, "Config.Task.Secret has 9 bytes"},
		"no network":   {remote.Config{Task: remote.Listener{Addr: "x", Trusted: make([]netip.Prefix, 1)}}, "Config.Task.Trusted[0]"},
		"everybody": {remote.Config{Task: remote.Listener{Addr: "x", Trusted: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}},
			"set InsecureAllowAnyone"},
		"no certificate": {remote.Config{Worker: remote.Listener{Addr: "x", TLS: &tls.Config{}}}, "Config.Worker.TLS has no certificate"},
		"any certificate": {remote.Config{Worker: remote.Listener{Addr: "x", TLS: &tls.Config{
			Certificates: make([]tls.Certificate, 1), ClientAuth: tls.RequireAndVerifyClientCert,
		}}}, "ClientCAs"},
		"contradiction": {remote.Config{Task: remote.Listener{Addr: "x", InsecureAllowAnyone: true, Secret: known}}, "leave out the one"},
		"choice":        {remote.Config{Task: remote.Listener{Addr: "x"}, Choice: 7}, "Config.Choice"},
	} {
		if _, err := remote.Listen(tc.cfg); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want something of %q", name, err, tc.want)
		}
	}
}

// A Router serves one gateway.
func TestRunTwice(t *testing.T) {
	h := start(t, remote.Config{}, gateway.Config{})
	h.worker(allEvents) // it runs
	gw, err := gateway.New(gateway.Config{Transports: []transport.Transport{pipe.New()}, Router: h.rt})
	must(t, err)
	if err := gw.Run(t.Context()); err == nil || errors.Is(err, t.Context().Err()) {
		t.Errorf("a second gateway ran it: %v", err)
	}
}

// Receipts count from Register on, and what they leave out is in doubt when the
// process dies.
func TestReceipts(t *testing.T) {
	h := start(t, buffered(), gateway.Config{})
	w, id := h.worker(allEvents)
	receipt := func(text string) {
		t.Helper()
		w.send(peer.Cmd_Unregister, &peer.UnRegisterReq{ConnId: text})
		w.expect(peer.Cmd_Unregister, new(peer.UnRegisterResp))
	}
	a := h.join()
	w.expectEvents("open " + a.id)
	receipt("handled:1")
	w.unregister(id)
	w.register(allEvents) // and counts from 0
	for _, text := range []string{"1", "2", "3"} {
		a.send(text)
		w.expectEvents(a.id + ":" + text)
	}
	receipt("handled:1")
	receipt("handled:nonsense")
	receipt("handled:18446744073709551616") // more than there are numbers for
	if s := h.rt.Stats(); s.InDoubt != 0 || s.Processes != 1 {
		t.Errorf("%+v", s)
	}
	reset(w)
	await.Until(t, func() string {
		if s := h.rt.Stats(); s.InDoubt != 2 || h.rt.FailedSends() != 2 {
			return fmt.Sprintf("%+v, want 2 in doubt", s)
		}
		return ""
	})
}
