package command_test

import (
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/sluicegate/sluice/internal/command"
	"github.com/sluicegate/sluice/protocol"
)

// Every number of the protocol that is no event, and no matter of the worker
// listener, is in the table, and nothing else is.
func TestEveryNumber(t *testing.T) {
	all := command.Table()
	for number, name := range protocol.Cmd_Number_name {
		cmd := protocol.Cmd_Number(number)
		want := true
		switch cmd {
		case protocol.Cmd_Placeholder,
			protocol.Cmd_ConnOpen, protocol.Cmd_ConnClose, protocol.Cmd_Transfer,
			protocol.Cmd_Register, protocol.Cmd_Unregister:
			want = false
		}
		if _, ok := all[cmd]; ok != want {
			t.Errorf("%s in the table: %v, want %v", name, ok, want)
		}
		delete(all, cmd)
	}
	for cmd := range all {
		t.Errorf("%d is in the table and not in the protocol", cmd)
	}
}

// The protocol names its messages after the commands: X tells, XReq asks, and
// XResp answers. A question that has nothing to say has no XReq.
func TestMessages(t *testing.T) {
	messages := protocol.File_protocol_sluice_proto.Messages()
	for cmd, c := range command.Table() {
		t.Run(cmd.String(), func(t *testing.T) {
			var body proto.Message
			if c.New != nil {
				body = c.New()
				if proto.Size(body) != 0 {
					t.Errorf("a new body is not empty: %v", body)
				}
				if body == c.New() {
					t.Error("two bodies are one")
				}
			}
			reply, err := c.Do(t.Context(), new(fakeBus), body)
			if err != nil {
				t.Error(err)
			}
			if c.Answers != (reply != nil) {
				t.Errorf("answered with %v; Answers is %v", reply, c.Answers)
			}
			asks, answer := protoreflect.Name(cmd.String()), protoreflect.Name(cmd.String()+"Resp")
			if c.Answers {
				asks += "Req"
			}
			if got, want := descriptor(body), messages.ByName(asks); got != want {
				t.Errorf("the body is %v, want %v", got, want)
			}
			if got, want := descriptor(reply), messages.ByName(answer); got != want {
				t.Errorf("the reply is %v, want %v", got, want)
			}
		})
	}
}

// descriptor returns nil for nil.
func descriptor(m proto.Message) protoreflect.MessageDescriptor {
	if m == nil {
		return nil
	}
	return m.ProtoReflect().Descriptor()
}

// What a body says reaches the method it is for, what that returns is in the
// reply, and an error leaves the reply there.
func TestDo(t *testing.T) {
	all := command.Table()
	for _, row := range rows() {
		t.Run(row.cmd.String(), func(t *testing.T) {
			c, ok := all[row.cmd]
			if !ok {
				t.Fatal("not in the table")
			}
			for _, err := range []error{nil, errors.New("incomplete")} {
				bus := &fakeBus{err: err}
				reply, got := c.Do(t.Context(), bus, row.body)
				if got != err {
					t.Errorf("error %v, want %v", got, err)
				}
				if len(bus.calls) != 1 || bus.calls[0] != row.call {
					t.Errorf("called %q, want %q", bus.calls, row.call)
				}
				if row.reply == nil && reply != nil || row.reply != nil && !proto.Equal(reply, row.reply) {
					t.Errorf("reply %v, want %v", reply, row.reply)
				}
			}
		})
		delete(all, row.cmd)
	}
	for cmd := range all {
		t.Errorf("%v is not tested", cmd)
	}
}

// A body that is another command's costs an error and nothing else. Commands
// whose body does not matter are carried out with any.
func TestOthersBody(t *testing.T) {
	for cmd, c := range command.Table() {
		for _, body := range []proto.Message{nil, new(protocol.Transfer)} {
			bus := new(fakeBus)
			reply, err := c.Do(t.Context(), bus, body)
			if c.New == nil {
				if reply == nil || err != nil || len(bus.calls) != 1 {
					t.Errorf("%v with %T: called %q, answered with %v, %v", cmd, body, bus.calls, reply, err)
				}
				continue
			}
			if reply != nil || err == nil || bus.calls != nil {
				t.Errorf("%v with %T: called %q, answered with %v, %v", cmd, body, bus.calls, reply, err)
			}
		}
	}
}
