package protocol_test

import (
	"fmt"
	"io"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/protocol"
)

// hot are the messages of which there is one for each message of a client or to
// clients.
func hot() []proto.Message {
	const uniqID = "7f00000117ae66f2c1a000000001"
	data := make([]byte, 100)
	return []proto.Message{
		&protocol.Broadcast{Data: data},
		&protocol.SingleCast{UniqId: uniqID, Data: data},
		&protocol.TopicPublish{Topics: []string{"news"}, Data: data},
		&protocol.Transfer{
			UniqId: uniqID, CustomerId: "customer-1", Session: `{"name":"somebody"}`, Topics: []string{"all", "news"}, Data: data,
		},
	}
}

// name is that of m's type.
func name(m proto.Message) string { return string(m.ProtoReflect().Descriptor().Name()) }

func BenchmarkMarshal(b *testing.B) {
	for _, m := range hot() {
		b.Run(name(m), func(b *testing.B) {
			var dst []byte
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if dst, err = (proto.MarshalOptions{}).MarshalAppend(dst[:0], m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkUnmarshal decodes into a message of its own, as each command and event
// does.
func BenchmarkUnmarshal(b *testing.B) {
	for _, m := range hot() {
		b.Run(name(m), func(b *testing.B) {
			body, err := proto.Marshal(m)
			must(b, err)
			p := protocol.Packet{Body: body}
			b.ReportAllocs()
			for b.Loop() {
				if err := p.Unmarshal(m.ProtoReflect().New().Interface()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkWriter writes so many packets, and sends them together.
func BenchmarkWriter(b *testing.B) {
	m := &protocol.SingleCast{UniqId: "7f00000117ae66f2c1a000000001", Data: make([]byte, 100)}
	for _, packets := range []int{1, 16} {
		b.Run(fmt.Sprint(packets), func(b *testing.B) {
			w := protocol.NewWriter(io.Discard, 0)
			b.ReportAllocs()
			for b.Loop() {
				for range packets {
					must(b, w.Write(protocol.Cmd_SingleCast, m))
				}
				must(b, w.Flush())
			}
		})
	}
}

// BenchmarkParseUniqID is how a business process finds a client's gateway.
func BenchmarkParseUniqID(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := protocol.ParseUniqID("7f00000117ae66f2c1a000000001"); err != nil {
			b.Fatal(err)
		}
	}
}
