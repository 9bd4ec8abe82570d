package hooks

import (
	"fmt"
	"strconv"
	"time"
)

// A Disconnect is an error that closes a client: a close code and a reason (RFC
// 6455 section 7.4). The code tells a client's author what to do, see
// [Disconnect.Reconnect]; the gateway's own are listed in docs/clients.md.
//
// It may be wrapped. Whoever is given one only reads it, so that one value may
// serve for many clients.
type Disconnect struct {
	// Code is the close code. 4000 to 4999 are for hosts to give a meaning:
	// up to 4499 clients come back, from 4500 on they do not. One that may
	// not be sent, like 0, is left out together with the reason.
	Code int
	// Reason is sent with it, at most 123 bytes of UTF-8; what is longer is
	// cut.
	Reason string
	// RetryAfter, if above 0, is how long the client should stay away. It is
	// sent behind the reason in whole seconds, see [Disconnect.CloseReason].
	RetryAfter time.Duration
}

// Error implements error.
func (d *Disconnect) Error() string {
	return fmt.Sprintf("hooks: client disconnected: %d %s", d.Code, d.CloseReason())
}

// The close codes that a gateway gives, RFC 6455 section 7.4.1 and the registry
// that it begins.
const (
	codeNormal      = 1000
	codeProtocol    = 1002
	codeUnsupported = 1003
	codeBadPayload  = 1007
	codePolicy      = 1008
	codeTooBig      = 1009
	codeExtension   = 1010
	// hostRetry to hostFinal-1 are hosts' codes after which clients come back.
	hostRetry = 4000
	hostFinal = 4500
	// registered codes begin here, and what they mean is not known.
	codeRegistered = 3000
)

// Reconnect reports whether the code tells the client to connect again, after a
// time that grows with each attempt. It should after 1001 (the gateway ends, or
// has not heard from it), 1006 (the connection broke), 1011 (an error of the
// gateway's), 1012 (a restart), 1013 (too much at the moment), and 4000 to 4499.
// It should not after 1000 (all is done) and where it would happen again: 1002,
// 1003, 1007, 1008, 1009, 1010, and 3000 to 3999 and 4500 to 4999.
func (d *Disconnect) Reconnect() bool {
	switch d.Code {
	case codeNormal, codeProtocol, codeUnsupported, codeBadPayload, codePolicy, codeTooBig, codeExtension:
		return false
	}
	return d.Code < codeRegistered || d.Code >= hostRetry && d.Code < hostFinal
}

// CloseReason returns the reason as it is sent: with RetryAfter, it ends in
// "retry-after=5", a number of seconds, rounded up, as in the HTTP header of that
// name.
func (d *Disconnect) CloseReason() string {
	if d.RetryAfter <= 0 {
		return d.Reason
	}
	after := "retry-after=" + strconv.FormatInt(int64((d.RetryAfter+time.Second-1)/time.Second), 10)
	if d.Reason == "" {
		return after
	}
	return d.Reason + "; " + after
}
