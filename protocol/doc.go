// Package protocol is the wire between a gateway and the business processes behind it: the messages, their command
// numbers, the framing of packets over TCP, and the two kinds of id.
//
// The messages are generated from sluice.proto, which is also the specification for authors of clients in other
// languages. A [Reader] takes packets off a connection, a [Writer] puts them on one; [AppendPacket] and its kin do the
// same into a byte slice. [UniqID] names a WebSocket connection and [ConnID] the registration of a business process.
//
// The package holds no state: everything lives in the values it returns.
package protocol

//go:generate go -C .. tool -modfile=internal/tools.mod buf generate --template protocol/buf.gen.yaml --path protocol/sluice.proto
