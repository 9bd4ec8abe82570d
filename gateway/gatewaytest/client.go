package gatewaytest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/sluicegate/sluice/internal/wsclient"
	"github.com/sluicegate/sluice/transport/websocket"
)

// A Client is a WebSocket client. It reads only when it is told to, and fails
// the test if what it was told to do cannot be done within 20 seconds. It keeps
// nothing of what it is given to send.
type Client struct {
	g    *Gateway
	conn *wsclient.Conn
}

// Connect opens a client: target is the request's path and query, headers are
// pairs of a name and a value. The test fails if the gateway refuses it.
//
// In memory it returns when the gateway has the client: a Broadcast reaches it,
// unless an Admitter still decides. Over other transports it returns when the
// handshake is answered, which may be before that; [Client.ID] waits for it. The
// Router may hear of the client later, in both cases.
func (g *Gateway) Connect(target string, headers ...string) *Client {
	g.t.Helper()
	c, err := g.TryConnect(target, headers...)
	if err != nil {
		g.t.Fatalf("gatewaytest: connect %s: %v", target, err)
	}
	return c
}

// TryConnect is Connect that returns an error. A handshake that was refused is
// a [*RefusedError].
func (g *Gateway) TryConnect(target string, headers ...string) (*Client, error) {
	g.t.Helper()
	if len(headers)%2 != 0 {
		g.t.Fatal("gatewaytest: headers come in pairs of a name and a value")
	}
	h := make(http.Header)
	for i := 0; i < len(headers); i += 2 {
		h.Add(headers[i], headers[i+1])
	}
	raw := g.Dial()
	conn, err := wsclient.Open(raw, wsclient.Request{Target: target, Header: h})
	if err != nil {
		_ = raw.Close()
		if r := (*wsclient.RefusedError)(nil); errors.As(err, &r) {
			return nil, &RefusedError{Status: r.Response.StatusCode, Header: r.Response.Header, Body: strings.TrimSuffix(r.Body, "\n")}
		}
		return nil, err
	}
	if g.inMemory {
		g.Eventually("the client is open", func() bool { return g.spy.opened(raw.LocalAddr().String()) })
	}
	return &Client{g: g, conn: conn}, nil
}

// A RefusedError is a gateway's answer to a handshake that it refuses.
type RefusedError struct {
	// Status is the HTTP status.
	Status int
	// Header is the answer's header. It is the caller's.
	Header http.Header
	// Body is the reason, without its line's end.
	Body string
}

// Error implements error.
func (e *RefusedError) Error() string {
	return "refused: " + http.StatusText(e.Status) + ": " + e.Body
}

// Dial connects without a handshake and returns the connection, for a test that
// looks at bytes. It is closed when the test ends.
func (g *Gateway) Dial() net.Conn {
	g.t.Helper()
	if g.dial == nil {
		g.t.Fatal("gatewaytest: clients cannot connect to the Config's transports without WithDial")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := g.dial(ctx, g.Gateway)
	if err != nil {
		g.t.Fatalf("gatewaytest: dial: %v", err)
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	g.t.Cleanup(func() { _ = c.Close() })
	return c
}

// ID returns the client's uniqId, once the gateway lists it, which an Admitter
// may take its time for. The test fails if that does not happen within 20
// seconds.
func (c *Client) ID() string {
	c.g.t.Helper()
	c.g.rest() // a client can see its handshake accepted before it is open
	var id string
	c.g.Eventually("the client is listed", func() bool {
		id = c.g.spy.uniqID(c.conn.LocalAddr().String())
		return id != ""
	})
	return id
}

// Response returns the gateway's answer to the handshake. Its body is empty.
func (c *Client) Response() *http.Response { return c.conn.Response }

// Hijack returns the connection for a test that looks at bytes. What the client
// has read ahead is lost; the Client must not be used any more.
func (c *Client) Hijack() net.Conn { return c.conn.Conn }

// Send sends a text message.
func (c *Client) Send(text string) {
	c.g.t.Helper()
	c.write(websocket.OpText, []byte(text))
}

// SendBinary sends a binary message.
func (c *Client) SendBinary(data []byte) {
	c.g.t.Helper()
	c.write(websocket.OpBinary, data)
}

func (c *Client) write(op websocket.Opcode, data []byte) {
	c.g.t.Helper()
	c.wait()
	if err := c.conn.WriteMessage(op, data); err != nil {
		c.g.t.Fatalf("gatewaytest: send: %v", err)
	}
}

// Read returns the next message, text or binary.
func (c *Client) Read() string {
	c.g.t.Helper()
	data, err := c.read()
	if err != nil {
		c.g.t.Fatalf("gatewaytest: read: %v", err)
	}
	return data
}

func (c *Client) read() (string, error) {
	c.wait()
	_, data, err := c.conn.ReadMessage()
	return string(data), err
}

// wait bounds the next read or write.
func (c *Client) wait() { _ = c.conn.SetDeadline(time.Now().Add(patience)) }

// Expect reads messages and fails the test if they are not these.
func (c *Client) Expect(texts ...string) {
	c.g.t.Helper()
	for _, want := range texts {
		if got := c.Read(); got != want {
			c.g.t.Fatalf("gatewaytest: got %q, want %q", got, want)
		}
	}
}

// ExpectNothing fails the test if there is something to read. It is exact, and
// needs no waiting: the gateway settles first, as [Gateway.Settle] says.
func (c *Client) ExpectNothing() {
	c.g.t.Helper()
	c.g.Settle()
	conn, ok := c.conn.Conn.(interface{ Readable() bool })
	if !ok {
		c.g.t.Fatal("gatewaytest: ExpectNothing needs a connection in memory")
	}
	if c.conn.Buffered() == 0 && !conn.Readable() {
		return
	}
	if got, err := c.read(); err != nil {
		c.g.t.Fatalf("gatewaytest: the connection ended with %v, want nothing", err)
	} else {
		c.g.t.Fatalf("gatewaytest: got %q, want nothing", got)
	}
}

// ExpectClose reads up to the close frame, answers it, and fails the test if it
// has another code (RFC 6455 7.4) or another reason. When the client is to come
// back, which is sent behind the reason and random, is not looked at. It returns
// the messages that came before it.
func (c *Client) ExpectClose(code int, reason string) (before []string) {
	c.g.t.Helper()
	for {
		data, err := c.read()
		if err == nil {
			before = append(before, data)
			continue
		}
		ce := (*wsclient.CloseError)(nil)
		if !errors.As(err, &ce) || ce.Code != code || !sameReason(ce.Reason, reason) {
			c.g.t.Fatalf("gatewaytest: the connection ended with %v, want close %d %q", err, code, reason)
		}
		return before
	}
}

// sameReason compares reasons, but for the time that a hooks.Disconnect appends.
func sameReason(got, want string) bool {
	before, _, _ := strings.Cut(got, "; retry-after=")
	return got == want || before == want
}

// Close leaves: the client sends a close frame with code 1000 and waits for the
// gateway's. Messages that come meanwhile are not looked at.
func (c *Client) Close() {
	c.g.t.Helper()
	c.wait()
	if err := c.conn.WriteClose(websocket.CloseNormal, ""); err != nil {
		c.g.t.Fatalf("gatewaytest: close: %v", err)
	}
	c.ExpectClose(websocket.CloseNormal, "")
	_ = c.conn.Close()
}

// Cut ends the connection without a close frame, as a lost network does.
func (c *Client) Cut() { _ = c.conn.Close() }
