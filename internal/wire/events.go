// Package wire turns events of package hooks into messages of package protocol
// and back. It is what the gateway's side and the business side share.
package wire

import (
	"strings"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/protocol"
)

// Open returns the message for e. What a client wrote need not be UTF-8, as
// the wire demands, and must not cost it its event: what is not, is replaced.
func Open(e hooks.OpenEvent) *protocol.ConnOpen {
	return &protocol.ConnOpen{
		UniqId: e.UniqID, RawQuery: Text(e.RawQuery), XForwardedFor: Text(e.XForwardedFor),
		XRealIp: Text(e.XRealIP), RemoteAddr: e.RemoteAddr,
	}
}

// Message returns the message for e, with which it shares Data and Topics.
func Message(e hooks.MessageEvent) *protocol.Transfer {
	return &protocol.Transfer{
		UniqId: e.UniqID, CustomerId: Text(e.CustomerID), Session: Text(e.Session), Topics: Texts(e.Topics), Data: e.Data,
	}
}

// Close returns the message for e, with which it shares Topics.
func Close(e hooks.CloseEvent) *protocol.ConnClose {
	return &protocol.ConnClose{
		UniqId: e.UniqID, CustomerId: Text(e.CustomerID), Session: Text(e.Session), Topics: Texts(e.Topics),
	}
}

// OpenEvent is the reverse of Open.
func OpenEvent(m *protocol.ConnOpen) hooks.OpenEvent {
	return hooks.OpenEvent{
		UniqID: m.GetUniqId(), RawQuery: m.GetRawQuery(), XForwardedFor: m.GetXForwardedFor(),
		XRealIP: m.GetXRealIp(), RemoteAddr: m.GetRemoteAddr(),
	}
}

// MessageEvent is the reverse of Message; the two share Data and Topics.
func MessageEvent(m *protocol.Transfer) hooks.MessageEvent {
	return hooks.MessageEvent{
		UniqID: m.GetUniqId(), CustomerID: m.GetCustomerId(), Session: m.GetSession(), Topics: m.GetTopics(), Data: m.GetData(),
	}
}

// CloseEvent is the reverse of Close; the two share Topics.
func CloseEvent(m *protocol.ConnClose) hooks.CloseEvent {
	return hooks.CloseEvent{
		UniqID: m.GetUniqId(), CustomerID: m.GetCustomerId(), Session: m.GetSession(), Topics: m.GetTopics(),
	}
}

// Text returns s with what is not UTF-8 replaced, so that it can be sent.
func Text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// Texts is Text for a list. It returns all itself if there is nothing to
// replace, and never changes it.
func Texts(all []string) []string {
	for i, s := range all {
		if v := Text(s); v != s {
			fixed := append([]string(nil), all...)
			for j := i; j < len(fixed); j++ {
				fixed[j] = Text(fixed[j])
			}
			return fixed
		}
	}
	return all
}
