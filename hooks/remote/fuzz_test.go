package remote

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/internal/command"
	"github.com/sluicegate/sluice/protocol"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/pipe"
)

// FuzzCommand throws bodies at every command of the task listener: whatever
// they say, the command is answered exactly if it is one that is, and an error
// is one about the body or about lists that do not pair up.
func FuzzCommand(f *testing.F) {
	all := command.Table()
	numbers := make([]protocol.Cmd_Number, 0, len(all))
	for cmd := range all {
		numbers = append(numbers, cmd)
	}
	for _, m := range []proto.Message{
		&protocol.SingleCastBulk{UniqIds: []string{"a", "b"}, Data: [][]byte{[]byte("x"), nil}},
		&protocol.ConnInfoUpdate{UniqId: "a", NewSession: "s", NewTopics: []string{"t", ""}, Data: []byte("x")},
		&protocol.ForceOfflineGuest{UniqIds: []string{"a"}, Delay: -5},
		&protocol.TopicCustomerIdCountReq{Topics: []string{"t"}, CountAll: true},
		&protocol.LimitReq{OnOpen: -1, OnMessage: 1 << 30},
	} {
		body, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		for cmd := range all {
			f.Add(int32(cmd), body)
		}
	}
	gw, err := gateway.New(gateway.Config{Transports: []transport.Transport{pipe.New()}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, number int32, body []byte) {
		c, ok := all[protocol.Cmd_Number(number)]
		if !ok {
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		reply, err := carryOut(ctx, gw, c, protocol.Packet{Cmd: protocol.Cmd_Number(number), Body: body})
		bad := (*bodyError)(nil)
		answered := number >= int32(protocol.Cmd_Register)
		switch {
		case errors.As(err, &bad):
			if reply != nil {
				t.Fatalf("a body that does not parse was answered with %v", reply)
			}
		case answered != (reply != nil):
			t.Fatalf("command %d was answered with %v, %v", number, reply, err)
		case reply != nil:
			if _, err := proto.Marshal(reply); err != nil {
				t.Fatalf("the answer cannot be sent: %v", err)
			}
		}
	})
	if len(numbers) != 33 {
		f.Errorf("%d commands, want 33", len(numbers))
	}
}
