package websocket

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// The close codes of RFC 6455, section 7.4.1, and of the IANA registry it set
// up. CloseNoStatus and CloseAbnormal never appear in a frame: they are what an
// endpoint reports for a close frame without a code and for a connection that
// ended without a close frame.
const (
	CloseNormal          = 1000
	CloseGoingAway       = 1001
	CloseProtocolError   = 1002
	CloseUnsupportedData = 1003
	CloseNoStatus        = 1005
	CloseAbnormal        = 1006
	CloseInvalidPayload  = 1007
	ClosePolicyViolation = 1008
	CloseMessageTooBig   = 1009
	CloseInternalError   = 1011
	CloseServiceRestart  = 1012
	CloseTryAgainLater   = 1013
)

// MaxCloseReason is how long the reason of a close frame may be, in bytes: a
// control frame's payload less the code (RFC 6455, section 5.5.1).
const MaxCloseReason = MaxControlPayload - 2

// A CloseError is what a decoder found wrong, and the code and reason to close
// the connection with (see [AppendClose]).
type CloseError struct {
	Code   int    // a close code that may be sent
	Reason string // short English text, at most MaxCloseReason bytes
}

// Error returns the reason and the code.
func (e *CloseError) Error() string {
	return "websocket: " + e.Reason + " (close " + strconv.Itoa(e.Code) + ")"
}

func protocolError(reason string) *CloseError {
	return &CloseError{Code: CloseProtocolError, Reason: reason}
}

func errTooBig() *CloseError {
	return &CloseError{Code: CloseMessageTooBig, Reason: "message too big"}
}

func errNotUTF8() *CloseError {
	return &CloseError{Code: CloseInvalidPayload, Reason: "text is not UTF-8"}
}

// ParseClose reads the payload of a close frame (RFC 6455, section 5.5.1). An
// empty payload gives CloseNoStatus. A payload of one byte and a code that may
// not be sent are a [*CloseError] with CloseProtocolError, a reason that is not
// UTF-8 is one with CloseInvalidPayload. The reason is a copy. Safe for
// concurrent use.
func ParseClose(payload []byte) (code int, reason string, err error) {
	if e := checkClose(payload); e != nil {
		return 0, "", e
	}
	if len(payload) == 0 {
		return CloseNoStatus, "", nil
	}
	return int(payload[0])<<8 | int(payload[1]), string(payload[2:]), nil
}

func checkClose(payload []byte) *CloseError {
	switch {
	case len(payload) == 0:
		return nil
	case len(payload) == 1:
		return protocolError("close frame of one byte")
	case !sendableCode(int(payload[0])<<8 | int(payload[1])):
		return protocolError("invalid close code")
	case !utf8.Valid(payload[2:]):
		return &CloseError{Code: CloseInvalidPayload, Reason: "close reason is not UTF-8"}
	}
	return nil
}

// sendableCode reports whether a close frame may carry code: the registered
// codes but the three that only report (1004 to 1006; 1015 likewise), those of
// libraries (3000 to 3999) and those of applications (4000 to 4999).
func sendableCode(code int) bool {
	switch {
	case code >= 1000 && code <= 1003, code >= 1007 && code <= 1014:
		return true
	}
	return code >= 3000 && code <= 4999
}

// AppendClose appends a server's close frame to dst and returns the extended
// slice. The reason is cut to MaxCloseReason bytes between two characters, and
// what in it is not UTF-8 is replaced. A code that may not be sent, such as 0
// or CloseNoStatus, gives a frame without payload. Safe for concurrent use;
// dst belongs to the caller.
func AppendClose(dst []byte, code int, reason string) []byte {
	if !sendableCode(code) {
		return append(dst, finBit|byte(OpClose), 0)
	}
	reason = closeReason(reason)
	dst = append(dst, finBit|byte(OpClose), byte(2+len(reason)), byte(code>>8), byte(code))
	return append(dst, reason...)
}

func closeReason(s string) string {
	if len(s) > 4*MaxCloseReason {
		s = s[:4*MaxCloseReason] // enough to cut from; spares a copy of a long invalid text
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	if len(s) <= MaxCloseReason {
		return s
	}
	n := MaxCloseReason
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
