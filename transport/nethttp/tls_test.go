package nethttp_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/gateway/gatewaytest"
	"github.com/sluicegate/sluice/internal/wsclient"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/nethttp"
)

// startTLS is start for a server with TLS 1.3. Clients write their keys to keys.
func startTLS(t *testing.T, cfg gateway.Config, keys io.Writer) *mount {
	t.Helper()
	m := &mount{Transport: nethttp.New()}
	cfg.Transports = []transport.Transport{m.Transport}
	m.server = httptest.NewUnstartedServer(m.Transport)
	m.server.Config.ErrorLog = log.New(testLog{t}, "", 0)
	m.server.StartTLS()
	t.Cleanup(m.server.Close)
	m.Gateway = gatewaytest.New(t, cfg, gatewaytest.WithDial(func(ctx context.Context, _ *gateway.Gateway) (net.Conn, error) {
		d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, KeyLogWriter: keys}}
		return d.DialContext(ctx, "tcp", m.server.Listener.Addr().String())
	}))
	return m
}

// keyUpdate is a client's record that asks the server to update its keys (RFC
// 8446 4.6.3); number counts the client's records since the handshake.
func keyUpdate(t *testing.T, c *tls.Conn, keys string, number uint64) []byte {
	t.Helper()
	if suite := c.ConnectionState().CipherSuite; suite != tls.TLS_AES_128_GCM_SHA256 {
		t.Skipf("cannot speak %s", tls.CipherSuiteName(suite)) // without AES in hardware
	}
	var secret []byte
	for line := range strings.Lines(keys) {
		if f := strings.Fields(line); f[0] == "CLIENT_TRAFFIC_SECRET_0" {
			var err error
			secret, err = hex.DecodeString(f[2])
			must(t, err)
		}
	}
	expand := func(label string, n int) []byte {
		label = "tls13 " + label
		info := append([]byte{0, byte(n), byte(len(label))}, label...)
		out, err := hkdf.Expand(sha256.New, secret, string(append(info, 0)), n)
		must(t, err)
		return out
	}
	block, err := aes.NewCipher(expand("key", 16))
	must(t, err)
	aead, err := cipher.NewGCM(block)
	must(t, err)
	nonce := expand("iv", 12)
	for i, b := range binary.BigEndian.AppendUint64(nil, number) {
		nonce[4+i] ^= b
	}
	message := []byte{24, 0, 0, 1, 1, 22} // key_update, update_requested, handshake
	head := []byte{23, 3, 3, 0, byte(len(message) + aead.Overhead())}
	return aead.Seal(head, nonce, message, head)
}

// A client that has TLS itself write to it, and does not read, holds up its own
// reader. It ends in time all the same, and TLS does not wait to say goodbye.
func TestKeyUpdateFromWhoDoesNotRead(t *testing.T) {
	var keys bytes.Buffer
	m := startTLS(t, gateway.Config{}, &keys)
	conn := m.Dial().(*tls.Conn)
	_, err := wsclient.Open(conn, wsclient.Request{})
	must(t, err)
	m.Eventually("the client is listed", func() bool { return m.Stats().Clients == 1 })
	must(t, m.Broadcast(t.Context(), make([]byte, 32<<20))) // no socket takes so much
	m.Eventually("it is being written", func() bool { return goroutines("tls.(*Conn).writeRecordLocked(") == 1 })
	_, err = conn.NetConn().Write(keyUpdate(t, conn, keys.String(), 1))
	must(t, err)
	m.Eventually("the reader waits for the writer", func() bool { return goroutines("tls.(*Conn).handleKeyUpdate(") == 1 })
	begun := time.Now()
	m.Shutdown()
	m.Eventually("the client is gone", func() bool { return goroutines("nethttp.(*socket)") == 0 })
	if took := time.Since(begun); took > 4*time.Second {
		t.Errorf("its end took %v", took)
	}
}
