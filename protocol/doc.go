// Package protocol is the wire between a gateway and the business processes behind it: the messages, their command
// numbers, the framing of packets over TCP, and the two kinds of id.
//
// The messages are generated from sluice.proto, which is also the specification for authors of clients in other
// languages. A [Reader] takes packets off a connection, a [Writer] puts them on one; [AppendPacket] and its kin do the
// same into a byte slice. [UniqID] names a WebSocket connection and [ConnID] the registration of a business process.
//
// A business process in Go has package protocol/business do all that. By hand, to register for events, it is:
//
//	w, r := protocol.NewWriter(conn, 0), protocol.NewReader(conn, 0, nil)
//	err := w.Write(protocol.Cmd_Register, &protocol.RegisterReq{Events: int32(protocol.Event_OnMessage)})
//	if err == nil {
//		err = w.Flush()
//	}
//	for err == nil {
//		var p protocol.Packet
//		if p, err = r.Next(); err == nil && p.Cmd == protocol.Cmd_Transfer {
//			var m protocol.Transfer
//			err = p.Unmarshal(&m)
//		}
//	}
//
// The package holds no state: everything lives in the values it returns. Functions and methods may be called on any
// goroutine, save those of a Reader and a Writer, which serve one goroutine at a time each. Messages are protobuf's: any
// number of goroutines may read one that nobody changes.
package protocol

//go:generate go -C .. tool -modfile=internal/tools.mod buf generate --template protocol/buf.gen.yaml --path protocol/sluice.proto
