package gateway

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"

	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/websocket"
)

// A CloseKind is a way in which clients end. There is a bounded number of them,
// whatever clients and hosts put into their close frames.
type CloseKind struct {
	// Code is the close code (RFC 6455 section 7.4.1). Of the codes that hosts
	// and libraries give a meaning, it is the first of their range: 3000, 4000
	// for those up to 4499, 4500 for those up to 4999.
	Code int
	// Reason is "client" if the client has closed the connection, "lost" if it
	// ended without a close frame, a reason of the gateway's own as docs/clients.md
	// lists them, such as "slow consumer", "protocol" for what is wrong by RFC
	// 6455, or "host" for all reasons of the host's.
	Reason string
}

// String returns the code and the reason, as in "1013 slow consumer".
func (k CloseKind) String() string { return strconv.Itoa(k.Code) + " " + k.Reason }

// MarshalText implements [encoding.TextMarshaler]: it is String, so that Stats can be
// written as JSON.
func (k CloseKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (k *CloseKind) UnmarshalText(text []byte) error {
	code, reason, _ := strings.Cut(string(text), " ")
	n, err := strconv.Atoi(code)
	if err != nil {
		return fmt.Errorf("gateway: %q is no kind of close; it should be a code and a reason, as in \"1013 slow consumer\"", text)
	}
	*k = CloseKind{Code: n, Reason: reason}
	return nil
}

// kindOf returns of which kind an end is.
func kindOf(cause transport.CloseCause) CloseKind {
	k := CloseKind{Code: codeKind(cause.Code)}
	switch {
	case cause.Code == websocket.CloseAbnormal:
		k.Reason = "lost"
	case cause.Remote:
		k.Reason = "client"
	case cause.Code == websocket.CloseProtocolError, cause.Code == websocket.CloseInvalidPayload:
		k.Reason = "protocol"
	default:
		k.Reason = "host"
		reason, _, _ := strings.Cut(cause.Reason, "; retry-after=")
		switch reason {
		case "heartbeat timeout", "going away", "forceOffline", "forceOfflineByCustomerId", "forceOfflineGuest", "unauthorized",
			"message too big", "internal error", "restart", "slow consumer", "too many messages", "inbox full", "memory budget",
			"too many clients at once", "no descriptors left":
			k.Reason = reason
		}
	}
	return k
}

func codeKind(code int) int {
	switch {
	case code >= 5000 || code < 1000:
		return 0
	case code >= 4500:
		return 4500
	case code >= 4000:
		return 4000
	case code >= 3000:
		return 3000
	case code >= 1016:
		return 1016
	}
	return code
}

// closes counts ends by their kind.
type closes struct {
	mu sync.Mutex
	n  map[CloseKind]int64
}

func (c *closes) add(cause transport.CloseCause) {
	k := kindOf(cause)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = make(map[CloseKind]int64)
	}
	c.n[k]++
}

func (c *closes) counts() map[CloseKind]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := make(map[CloseKind]int64, len(c.n))
	maps.Copy(n, c.n)
	return n
}
