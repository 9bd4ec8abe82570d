package loop

import (
	"net"
	"net/http"
	"sync"

	"github.com/sluicegate/sluice/transport/websocket"
)

// asked is the request that a handshake is about. An ordinary one is not made an
// http.Request unless somebody wants to see it.
type asked struct {
	addr net.Addr
	text string         // the head, or empty if request is there from the start
	head websocket.Head // of text

	making  sync.Once
	request *http.Request
}

// Path implements transport.Handshake.
func (a *asked) Path() string {
	if a.text == "" {
		return a.request.URL.Path
	}
	return a.head.Path
}

// RawQuery implements transport.Handshake.
func (a *asked) RawQuery() string {
	if a.text == "" {
		return a.request.URL.RawQuery
	}
	return a.head.RawQuery
}

// Values implements transport.Handshake.
func (a *asked) Values(name string) []string {
	if a.text == "" {
		return a.request.Header.Values(name)
	}
	return a.head.Values(name)
}

// Request implements transport.Handshake.
func (a *asked) Request() *http.Request {
	a.making.Do(a.makeRequest)
	return a.request
}

func (a *asked) makeRequest() {
	if a.text != "" {
		r, err := websocket.ParseRequest([]byte(a.text))
		if err != nil {
			panic("loop: what ReadHead takes is no request: " + err.Error())
		}
		a.request = r
	}
	a.request.RemoteAddr = a.addr.String()
}

// RemoteAddr implements transport.Handshake.
func (a *asked) RemoteAddr() net.Addr { return a.addr }
