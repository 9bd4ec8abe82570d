package websocket

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	gorilla "github.com/gorilla/websocket"
)

// echoServer speaks for one connection as a simple engine would: it echoes
// messages, answers pings, and echoes a close frame.
func echoServer(c net.Conn, o *HandshakeOptions, cfg *DecoderConfig, z *Compressor) error {
	defer c.Close()
	var in, out []byte
	var d Decoder
	var h *Handshake
	buf := make([]byte, 700) // small: frames are cut everywhere
	for {
		n, err := c.Read(buf)
		if err != nil {
			return err
		}
		b := buf[:n]
		out = out[:0]
		if h == nil {
			from := len(in)
			in = append(in, b...)
			end := HeaderEnd(in, from)
			if end < 0 {
				continue
			}
			r, err := ParseRequest(in[:end])
			if err == nil {
				h, err = Negotiate(r, o)
			}
			if err != nil {
				c.Write(err.(*HandshakeError).AppendResponse(nil))
				return err
			}
			out = h.AppendResponse(out, http.Header{"X-Served-By": {"test"}})
			b = in[end:]
		}
		for {
			m, n, ok, err := d.Next(b, cfg, h.Deflate)
			if err != nil {
				ce := err.(*CloseError)
				c.Write(AppendClose(nil, ce.Code, ce.Reason))
				return err
			}
			if !ok {
				break
			}
			b = b[n:]
			switch m.Op {
			case OpPing:
				out = AppendFrame(out, OpPong, false, m.Data)
			case OpPong:
			case OpClose:
				code, reason, _ := ParseClose(m.Data)
				c.Write(AppendClose(out, code, reason))
				return nil
			default:
				data := m.Data
				if h.Deflate {
					data = z.AppendCompressed(nil, data)
				}
				out = AppendFrame(out, m.Op, h.Deflate, data)
			}
		}
		if len(out) > 0 {
			if _, err := c.Write(out); err != nil {
				return err
			}
		}
	}
}

// dialGorilla connects gorilla/websocket to an echoServer.
func dialGorilla(t *testing.T, d *gorilla.Dialer, header http.Header, o *HandshakeOptions, max int) (*gorilla.Conn, *http.Response, <-chan error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	done := make(chan error, 1)
	go func() {
		c, err := ln.Accept()
		if err != nil {
			done <- err
			return
		}
		z, _ := NewCompressor(1)
		done <- echoServer(c, o, &DecoderConfig{MaxMessage: max, Inflater: new(Inflater)}, z)
	}()
	u := url.URL{Scheme: "ws", Host: ln.Addr().String(), Path: "/ws", RawQuery: "a=1"}
	c, res, err := d.Dial(u.String(), header)
	if err != nil {
		if res == nil {
			t.Fatal(err)
		}
		return nil, res, done
	}
	c.SetReadDeadline(time.Now().Add(30 * time.Second))
	t.Cleanup(func() { c.Close() })
	return c, res, done
}

func TestGorillaEcho(t *testing.T) {
	for _, compress := range []bool{false, true} {
		name := map[bool]string{false: "plain", true: "compressed"}[compress]
		t.Run(name, func(t *testing.T) {
			d := &gorilla.Dialer{EnableCompression: compress, Subprotocols: []string{"x", "chat"}, WriteBufferSize: 300}
			c, res, done := dialGorilla(t, d, nil, &HandshakeOptions{Subprotocols: []string{"chat"}, Compression: true}, 0)
			if c.Subprotocol() != "chat" || res.Header.Get("X-Served-By") != "test" {
				t.Error(res.Header)
			}
			if got := res.Header.Get("Sec-WebSocket-Extensions") != ""; got != compress {
				t.Fatal(res.Header)
			}
			pongs := 0
			c.SetPongHandler(func(s string) error {
				if s != "are you there" {
					t.Errorf("pong %q", s)
				}
				pongs++
				return nil
			})
			rng := rand.New(rand.NewPCG(3, 4))
			for i, n := range []int{0, 1, 5, 125, 126, 127, 299, 300, 1000, 65535, 65536, 200_000} {
				payload := bytes.Repeat([]byte("κόσμε "), n/10+1)[:n]
				op := gorilla.BinaryMessage
				if i%2 == 1 {
					payload = bytes.ToValidUTF8(payload, nil)
					op = gorilla.TextMessage
				} else if n > 300 {
					for i := range payload {
						payload[i] = byte(rng.Uint32())
					}
				}
				// The writer fragments by its small buffer; a ping goes between.
				w, err := c.NextWriter(op)
				if err != nil {
					t.Fatal(err)
				}
				w.Write(payload[:len(payload)/2])
				if err := c.WriteControl(gorilla.PingMessage, []byte("are you there"), time.Now().Add(time.Second)); err != nil {
					t.Fatal(err)
				}
				w.Write(payload[len(payload)/2:])
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
				gotOp, got, err := c.ReadMessage()
				if err != nil || gotOp != op || !bytes.Equal(got, payload) {
					t.Fatalf("%d bytes: op %d, %d bytes, %v", n, gotOp, len(got), err)
				}
			}
			if pongs != 12 {
				t.Errorf("%d pongs", pongs)
			}
			c.WriteControl(gorilla.CloseMessage, gorilla.FormatCloseMessage(4001, "bye"), time.Now().Add(time.Second))
			_, _, err := c.ReadMessage()
			var ce *gorilla.CloseError
			if !errors.As(err, &ce) || ce.Code != 4001 || ce.Text != "bye" {
				t.Errorf("close: %v", err)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestGorillaTooBig(t *testing.T) {
	for _, compress := range []bool{false, true} {
		c, _, _ := dialGorilla(t, &gorilla.Dialer{EnableCompression: compress}, nil, &HandshakeOptions{Compression: true}, 1000)
		c.WriteMessage(gorilla.BinaryMessage, make([]byte, 1001))
		_, _, err := c.ReadMessage()
		var ce *gorilla.CloseError
		if !errors.As(err, &ce) || ce.Code != 1009 {
			t.Errorf("compressed %v: %v", compress, err)
		}
	}
}

func TestGorillaRefused(t *testing.T) {
	c, res, _ := dialGorilla(t, &gorilla.Dialer{}, http.Header{"Origin": {"http://evil.example"}}, nil, 0)
	if c != nil || res.StatusCode != http.StatusForbidden {
		t.Error(res)
	}
	allowed := []string{"http://good.example"}
	if c, res, _ = dialGorilla(t, &gorilla.Dialer{}, http.Header{"Origin": allowed}, &HandshakeOptions{Origins: allowed}, 0); c == nil {
		t.Error(res)
	}
	if exts := res.Header.Values("Sec-WebSocket-Extensions"); !slices.Equal(exts, nil) {
		t.Error(exts)
	}
}
