package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/transport/websocket"
)

// testThirdParty has clients of other authors talk to the gateway, so that our
// reading of the RFCs is not tested against itself.
func testThirdParty(t *testing.T, mk maker) {
	group(t, "third-party clients", func(t *testing.T) {
		for _, c := range []struct {
			name string
			dial func(s *scene, url string, deflate bool) (foreigner, http.Header, error)
		}{{"coder", dialCoder}, {"gorilla", dialGorilla}} {
			for _, binary := range []bool{false, true} {
				for _, deflate := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s binary=%v deflate=%v", c.name, binary, deflate), func(t *testing.T) {
						cfg := gateway.Config{Binary: binary}
						if deflate {
							cfg.Compression = 6
						}
						s := start(t, mk, cfg)
						connect := func(query string) foreigner {
							t.Helper()
							f, header, err := c.dial(s, "ws://gateway.test"+path+"?"+query, deflate)
							must(t, err)
							// Whatever it offers, it gets no context takeover.
							if got := header.Get("Sec-Websocket-Extensions"); deflate != (strings.Contains(got, "client_no_context_takeover") &&
								strings.Contains(got, "server_no_context_takeover")) {
								t.Fatalf("extensions %q", got)
							}
							return f
						}
						converse(s, connect, binary, deflate)
					})
				}
			}
		}
	})
}

// A foreigner is somebody else's client. It serves one goroutine.
type foreigner interface {
	// send sends a message in pieces: frames, where the client lets us.
	send(binary bool, pieces ...[]byte) error
	read() (binary bool, data []byte, err error)
	// ping returns a channel that says when the pong is here. Somebody must
	// read meanwhile.
	ping() <-chan error
	// leave closes and returns nil if the gateway answered with the same code.
	leave(code int, reason string) error
	// cause takes apart what read returned when the gateway closed.
	cause(err error) (code int, reason string)
}

// converse is the scenario.
func converse(s *scene, connect func(query string) foreigner, binary, deflate bool) {
	t := s.t
	f := connect("name=first")
	echo := func(f foreigner, pieces ...[]byte) {
		t.Helper()
		must(t, f.send(binary, pieces...))
		b, got, err := f.read()
		must(t, err)
		if want := bytes.Join(pieces, nil); b != binary || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, binary %v, came back as %d bytes, binary %v", len(want), binary, len(got), b)
		}
	}
	text := []byte(strings.Repeat("Grüße, 世界! ", 2000))
	sent := 0
	for _, data := range [][]byte{nil, []byte("a"), []byte("é"), text, text, text, large(binary)} {
		echo(f, data)
		sent += len(data)
	}
	// A letter of several bytes may lie in two frames.
	echo(f, text[:2], text[2:3], nil, text[3:1000], text[1000:])
	pong := f.ping()
	for waiting := true; waiting; {
		select {
		case err := <-pong:
			must(t, err)
			waiting = false
		default:
			echo(f, []byte("meanwhile"))
		}
	}
	must(t, f.leave(4001, "done"))

	second := connect("name=second")
	id := s.idOf("name=second")
	echo(second, text)
	must(t, s.ForceOffline(t.Context(), []string{id}, []byte("bye")))
	if _, got, err := second.read(); err != nil || string(got) != "bye" {
		t.Fatalf("%q, %v, want the farewell", got, err)
	}
	_, _, err := second.read()
	if code, reason := second.cause(err); code != websocket.ClosePolicyViolation || reason != "forceOffline" {
		t.Errorf("%v, want close 1008 \"forceOffline\"", err)
	}
	s.settle()
	must(t, s.Stop())
	st := s.Stats()
	if st.MessagesOut != st.MessagesIn+1 || total(st) != st.MessagesOut {
		t.Errorf("%d messages in, %d out, drops %+v", st.MessagesIn, st.MessagesOut, st.Drops)
	}
	if small := st.BytesOut < int64(sent); small != deflate {
		t.Errorf("%d bytes were written for %d", st.BytesOut, sent)
	}
}

// large is a message whose length takes eight bytes; half of it cannot be
// compressed much.
func large(binary bool) []byte {
	data := make([]byte, 300_000)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range data[:len(data)/2] {
		data[i] = byte(r.Uint32())
		if !binary {
			data[i] = 'a' + data[i]%26
		}
	}
	return data
}

// coderClient is github.com/coder/websocket.
type coderClient struct {
	*coder.Conn
	ctx context.Context
}

func dialCoder(s *scene, url string, deflate bool) (foreigner, http.Header, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	s.t.Cleanup(cancel)
	tr := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return s.dial(), nil }}
	o := &coder.DialOptions{HTTPClient: &http.Client{Transport: tr}}
	if deflate {
		o.CompressionMode = coder.CompressionContextTakeover
	}
	c, resp, err := coder.Dial(ctx, url, o) //nolint:bodyclose // the client closes it
	if err != nil {
		return nil, nil, err
	}
	s.t.Cleanup(func() { _ = c.CloseNow() })
	c.SetReadLimit(-1)
	return coderClient{c, ctx}, resp.Header, nil
}

func (c coderClient) send(binary bool, pieces ...[]byte) error {
	kind := coder.MessageText
	if binary {
		kind = coder.MessageBinary
	}
	if len(pieces) == 1 {
		return c.Write(c.ctx, kind, pieces[0])
	}
	w, err := c.Writer(c.ctx, kind)
	for _, p := range pieces {
		if err == nil {
			_, err = w.Write(p)
		}
	}
	if err != nil {
		return err
	}
	return w.Close()
}

func (c coderClient) read() (bool, []byte, error) {
	kind, data, err := c.Read(c.ctx)
	return kind == coder.MessageBinary, data, err
}

func (c coderClient) ping() <-chan error {
	pong := make(chan error, 1)
	go func() { pong <- c.Ping(c.ctx) }()
	return pong
}

func (c coderClient) leave(code int, reason string) error {
	return c.Close(coder.StatusCode(code), reason)
}

func (c coderClient) cause(err error) (int, string) {
	var ce coder.CloseError
	if !errors.As(err, &ce) {
		return 0, ""
	}
	return int(ce.Code), ce.Reason
}

// gorillaClient is github.com/gorilla/websocket.
type gorillaClient struct{ *gorilla.Conn }

func dialGorilla(s *scene, url string, deflate bool) (foreigner, http.Header, error) {
	d := gorilla.Dialer{
		NetDialContext:    func(context.Context, string, string) (net.Conn, error) { return s.dial(), nil },
		EnableCompression: deflate,
		WriteBufferSize:   512, // longer messages go in fragments
	}
	c, resp, err := d.Dial(url, nil) //nolint:bodyclose // it is empty
	if err != nil {
		return nil, nil, err
	}
	// The dialer has taken the connection's deadline away.
	return gorillaClient{c}, resp.Header, c.SetReadDeadline(time.Now().Add(patience))
}

func (c gorillaClient) send(binary bool, pieces ...[]byte) error {
	kind := gorilla.TextMessage
	if binary {
		kind = gorilla.BinaryMessage
	}
	w, err := c.NextWriter(kind)
	for _, p := range pieces {
		if err == nil {
			_, err = w.Write(p)
		}
	}
	if err != nil {
		return err
	}
	return w.Close()
}

func (c gorillaClient) read() (bool, []byte, error) {
	kind, data, err := c.ReadMessage()
	return kind == gorilla.BinaryMessage, data, err
}

func (c gorillaClient) ping() <-chan error {
	pong := make(chan error, 1)
	c.SetPongHandler(func(data string) error {
		var err error
		if data != "ping" {
			err = fmt.Errorf("a pong of %q", data)
		}
		pong <- err
		return nil
	})
	if err := c.WriteControl(gorilla.PingMessage, []byte("ping"), time.Now().Add(patience)); err != nil {
		pong <- err
	}
	return pong
}

func (c gorillaClient) leave(code int, reason string) error {
	msg := gorilla.FormatCloseMessage(code, reason)
	if err := c.WriteControl(gorilla.CloseMessage, msg, time.Now().Add(patience)); err != nil {
		return err
	}
	_, _, err := c.ReadMessage()
	if gorilla.IsCloseError(err, code) {
		return nil
	}
	return err
}

func (c gorillaClient) cause(err error) (int, string) {
	ce := (*gorilla.CloseError)(nil)
	if !errors.As(err, &ce) {
		return 0, ""
	}
	return ce.Code, ce.Text
}
