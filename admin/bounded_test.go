package admin

import (
	"io"
	"net"
	"testing"
	"time"
)

// Whoever opens connections and says nothing has so many of them, and when they go
// there is room again.
func TestConnectionsAreBounded(t *testing.T) {
	s := start(t, Config{Token: token})
	var held []net.Conn
	dial := func() (open bool) {
		c, err := net.DialTimeout("tcp", s.adm.Addr().String(), wait)
		must(t, err)
		held = append(held, c)
		must(t, c.SetDeadline(time.Now().Add(wait)))
		_, _ = io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
		_, err = c.Read(make([]byte, 1))
		return err == nil
	}
	for i := range maxConns {
		if !dial() {
			t.Fatalf("connection %d is refused", i)
		}
	}
	if dial() {
		t.Error("one too many is answered")
	}
	for _, c := range held {
		c.Close()
	}
	for begin := time.Now(); !dial(); {
		if time.Since(begin) > wait {
			t.Fatal("there is no room again")
		}
	}
	for _, c := range held {
		c.Close()
	}
}
