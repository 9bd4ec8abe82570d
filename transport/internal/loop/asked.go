package loop

import (
	"net"
	"net/http"
	"sync/atomic"

	"github.com/sluicegate/sluice/transport/websocket"
)

// asked is the request that a handshake is about. An ordinary one is not made an
// http.Request unless somebody wants to see it.
type asked struct {
	addr net.Addr
	text string         // the head, or empty if request is there from the start
	head websocket.Head // of text

	request atomic.Pointer[http.Request]
}

// Path implements transport.Handshake.
func (a *asked) Path() string {
	if a.text == "" {
		return a.request.Load().URL.Path
	}
	return a.head.Path
}

// RawQuery implements transport.Handshake.
func (a *asked) RawQuery() string {
	if a.text == "" {
		return a.request.Load().URL.RawQuery
	}
	return a.head.RawQuery
}

// Values implements transport.Handshake.
func (a *asked) Values(name string) []string {
	if a.text == "" {
		return a.request.Load().Header.Values(name)
	}
	return a.head.Values(name)
}

// Request implements transport.Handshake.
func (a *asked) Request() *http.Request {
	if r := a.request.Load(); r != nil {
		return r
	}
	r, err := websocket.ParseRequest([]byte(a.text))
	if err != nil {
		panic("loop: what ReadHead has taken is no request: " + err.Error())
	}
	r.RemoteAddr = a.addr.String()
	if !a.request.CompareAndSwap(nil, r) {
		return a.request.Load() // somebody else was faster
	}
	return r
}

// RemoteAddr implements transport.Handshake.
func (a *asked) RemoteAddr() net.Addr { return a.addr }
