package websocket

import (
	"net/http"
	"strconv"
)

// A HandshakeError is a refusal of the opening handshake: the HTTP response to
// give (RFC 6455, section 4.2.2). Whoever else refuses (a path, a limit) may make
// one too. Its methods only read it.
type HandshakeError struct {
	Status int         // an HTTP status code; 0 means 400
	Header http.Header // further fields of the response, may be nil
	Reason string      // short English text, sent as the body
}

// Error returns the reason and the status.
func (e *HandshakeError) Error() string {
	return "websocket: handshake refused: " + e.Reason + " (HTTP " + strconv.Itoa(e.status()) + ")"
}

func (e *HandshakeError) status() int {
	if e.Status < 100 || e.Status > 999 {
		return http.StatusBadRequest
	}
	return e.Status
}

// AppendResponse appends the whole HTTP/1.1 response to dst and returns the
// extended slice. It tells the client that the connection closes; closing it
// once the response is out is left to the caller. Fields of Header that are no
// valid field, or that would change where the response ends, are left out. Safe
// for concurrent use; dst belongs to the caller.
func (e *HandshakeError) AppendResponse(dst []byte) []byte {
	status := e.status()
	text := http.StatusText(status)
	if text == "" {
		text = "Refused"
	}
	body := e.Reason
	if body == "" {
		body = text
	}
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	dst = append(dst, text...)
	dst = append(dst, "\r\nConnection: close"...)
	if e.Header.Get("Upgrade") != "" {
		dst = append(dst, ", Upgrade"...) // RFC 9110, section 7.8
	}
	dst = append(dst, "\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(body)+1), 10)
	dst = append(dst, "\r\n"...)
	dst = appendHeaderFields(dst, e.Header, func(name string) bool {
		return framingField(name) || equalFold(name, "Content-Type") || equalFold(name, "X-Content-Type-Options")
	})
	dst = append(dst, "\r\n"...)
	dst = append(dst, body...)
	return append(dst, '\n')
}

func badRequest(reason string) *HandshakeError {
	return &HandshakeError{Status: http.StatusBadRequest, Reason: reason}
}

func badMethod() *HandshakeError {
	return &HandshakeError{
		Status: http.StatusMethodNotAllowed,
		Header: http.Header{"Allow": {http.MethodGet}},
		Reason: "a WebSocket handshake is a GET",
	}
}

func badVersion() *HandshakeError {
	return &HandshakeError{
		Status: http.StatusUpgradeRequired,
		Header: http.Header{
			"Sec-Websocket-Version": {"13"},
			"Upgrade":               {"websocket"},
		},
		Reason: "only WebSocket version 13 is supported",
	}
}

func badOrigin() *HandshakeError {
	return &HandshakeError{Status: http.StatusForbidden, Reason: "origin not allowed"}
}
