package load

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// handshakeTime bounds connecting, the handshake included.
	handshakeTime = 10 * time.Second
	// maxResponse bounds the server's answer to a handshake.
	maxResponse = 8 << 10
	// sources is how many addresses clients on loopback come from, so that
	// ports last: each has some 28,000 for one server.
	sources = 250
)

// A dialer opens WebSocket connections by hand: libraries cost more than the
// gateway does.
type dialer struct {
	addr    string
	tls     *tls.Config // nil for ws
	request []byte
	next    *atomic.Uint32 // the next source; nil leaves it to the system
}

func newDialer(rawURL string, insecure bool) (*dialer, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("load: the URL: %w", err)
	}
	d := &dialer{addr: u.Host}
	port := "80"
	switch u.Scheme {
	case "ws":
	case "wss":
		port = "443"
		d.tls = &tls.Config{ServerName: u.Hostname(), InsecureSkipVerify: insecure} // only if asked for
	default:
		return nil, fmt.Errorf("load: the URL %q must begin with ws:// or wss://", rawURL)
	}
	if u.Hostname() == "" {
		return nil, fmt.Errorf("load: the URL %q has no host", rawURL)
	}
	if u.Port() == "" {
		d.addr = net.JoinHostPort(u.Hostname(), port)
	}
	d.request = fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\nSec-WebSocket-Version: 13\r\n\r\n", u.RequestURI(), u.Host)
	if ip := net.ParseIP(u.Hostname()); runtime.GOOS == "linux" && ip != nil && ip.To4() != nil && ip.IsLoopback() {
		d.next = new(atomic.Uint32)
	}
	return d, nil
}

// open connects and makes the handshake. It returns the connection, which the
// caller closes, and what the server has sent behind its answer.
func (d *dialer) open(ctx context.Context) (net.Conn, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	var nd net.Dialer
	if d.next != nil {
		nd.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+d.next.Add(1)%sources))}
	}
	conn, err := nd.DialContext(ctx, "tcp", d.addr)
	if err != nil {
		return nil, nil, err
	}
	// A reset instead of an end keeps no port occupied for a minute.
	_ = conn.(*net.TCPConn).SetLinger(0)
	if d.tls != nil {
		conn = tls.Client(conn, d.tls)
	}
	rest, err := d.handshake(ctx, conn)
	if err != nil {
		_ = conn.Close()
		return nil, nil, fmt.Errorf("handshake with %s: %w", d.addr, err)
	}
	return conn, rest, nil
}

func (d *dialer) handshake(ctx context.Context, conn net.Conn) (rest []byte, err error) {
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	if _, err := conn.Write(d.request); err != nil {
		return nil, err
	}
	buf := make([]byte, 0, 512)
	for {
		if len(buf) == cap(buf) {
			if len(buf) >= maxResponse {
				return nil, fmt.Errorf("the answer has no end within %d bytes", maxResponse)
			}
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := conn.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if at := bytes.Index(buf, []byte("\r\n\r\n")); at >= 0 {
			if status, _, _ := strings.Cut(string(buf[:at]), "\r\n"); !strings.HasPrefix(status, "HTTP/1.1 101") {
				return nil, fmt.Errorf("refused: %s", status)
			}
			return buf[at+4:], conn.SetDeadline(time.Time{})
		}
		if err != nil {
			return nil, err
		}
	}
}
