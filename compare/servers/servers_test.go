package servers_test

import (
	"context"
	"net"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/compare/servers"
	"github.com/sluicegate/sluice/compare/servertest"
	"github.com/sluicegate/sluice/protocol"
)

func TestEveryLibrary(t *testing.T) {
	for _, lib := range servers.Libraries() {
		t.Run(lib.Name, func(t *testing.T) {
			clients, task, stop := start(t, lib)
			s := servertest.Open(t, clients, task, 5)
			if lib.NoEcho == "" {
				s.Echo()
			}
			s.Broadcast()
			s.Leave()
			s.Pieces()
			s.Publish()
			if err := stop(); err != nil {
				t.Errorf("the server ended with %v", err)
			}
			s.AwaitEnd()
		})
	}
}

// start runs a server. Its test checks that it leaves no goroutine behind.
func start(t *testing.T, lib servers.Library) (clients, task string, stop func() error) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	peer, err := lib.New()
	if err != nil {
		t.Fatal(err)
	}
	ln, tasks := listen(t), listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- servers.Serve(ctx, peer, ln, tasks) }()
	stop = func() error {
		cancel()
		err := <-ended
		ended <- err
		return err
	}
	t.Cleanup(func() { _ = stop() })
	return ln.Addr().String(), tasks.Addr().String(), stop
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

func TestServerEndsWithAnErrorThatNamesABadCommand(t *testing.T) {
	for _, tt := range []struct {
		name string
		cmd  protocol.Cmd_Number
		m    proto.Message
		want string
	}{
		{"another command", protocol.Cmd_UniqIdList, &protocol.Broadcast{}, "UniqIdList"},
		{"no message", protocol.Cmd_Broadcast, nil, "task port"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lib, err := servers.Find("gws")
			if err != nil {
				t.Fatal(err)
			}
			_, task, stop := start(t, lib)
			conn, err := net.Dial("tcp", task)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			var packet []byte
			if tt.m == nil {
				packet, err = protocol.AppendRawPacket(nil, tt.cmd, []byte{0xff})
			} else {
				packet, err = protocol.AppendPacket(nil, tt.cmd, tt.m)
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Write(packet); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Read(make([]byte, 1)); err == nil {
				t.Error("the connection was answered, not closed")
			}
			if err := stop(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the server ended with %v, want an error that has %q", err, tt.want)
			}
		})
	}
}

func TestCentrifugeRefusesWhatJSONWouldChange(t *testing.T) {
	lib, err := servers.Find("centrifuge")
	if err != nil {
		t.Fatal(err)
	}
	_, task, stop := start(t, lib)
	conn, err := net.Dial("tcp", task)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	w := protocol.NewWriter(conn, 0)
	if err := w.Write(protocol.Cmd_Broadcast, &protocol.Broadcast{Data: []byte(`say "no"`)}); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the connection was answered, not closed")
	}
	if err := stop(); err == nil || !strings.Contains(err.Error(), "JSON") {
		t.Errorf("the server ended with %v, want an error that has JSON in it", err)
	}
}

func TestFindNamesWhatThereIsNot(t *testing.T) {
	if _, err := servers.Find("gorilla"); err == nil || !strings.Contains(err.Error(), "gorilla") {
		t.Errorf("Find returned %v", err)
	}
}

func TestVersionIsThatOfTheModule(t *testing.T) {
	for _, lib := range servers.Libraries() {
		if v := lib.Version(); v != "" && !strings.HasPrefix(v, "v") {
			t.Errorf("%s has version %q", lib.Name, v)
		}
	}
}
