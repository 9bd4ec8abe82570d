package protocol_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/sluicegate/sluice/protocol"
)

func document(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The bytes of docs/protocol.md are those that this package makes.
func TestDocumentedBytes(t *testing.T) {
	packet := func(cmd protocol.Cmd_Number, m proto.Message) []byte {
		b, err := protocol.AppendPacket(nil, cmd, m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	raw := func(body ...[]byte) []byte {
		b, err := protocol.AppendRawPacket(nil, 0, bytes.Join(body, nil))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	p, g := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	proof := func(text string) []byte { // as the document has it
		h := hmac.New(sha256.New, []byte("0123456789abcdef"))
		h.Write(append(append([]byte(text), p...), g...))
		return h.Sum(nil)
	}
	const id = "7f00000117ae6592008000000001"
	want := map[string][]byte{
		"Register events=7": packet(protocol.Cmd_Register, &protocol.RegisterReq{Events: 7}),
		"Register reply":    packet(protocol.Cmd_Register, &protocol.RegisterResp{Message: "Success", ConnId: "7f00000117ad7f000001c35065920080"}),
		"ConnOpen":          packet(protocol.Cmd_ConnOpen, &protocol.ConnOpen{UniqId: id, RawQuery: "room=1", RemoteAddr: "192.0.2.7"}),
		"Transfer":          packet(protocol.Cmd_Transfer, &protocol.Transfer{UniqId: id, Data: []byte("hi")}),
		"SingleCast":        packet(protocol.Cmd_SingleCast, &protocol.SingleCast{UniqId: id, Data: []byte("hi")}),
		"UniqIdCount":       packet(protocol.Cmd_UniqIdCount, nil),
		"UniqIdCount reply": packet(protocol.Cmd_UniqIdCount, &protocol.UniqIdCountResp{Count: 300}),
		"heartbeat":         protocol.AppendHeartbeat(nil, nil),
		"hello":             raw([]byte{1}, p),
		"answer":            raw(g, proof("sluice/1 gateway task")),
		"proof":             raw(proof("sluice/1 process task")),
	}
	for _, block := range regexp.MustCompile("(?s)```hex ([^\n]+)\n(.*?)```").FindAllStringSubmatch(document(t), -1) {
		got, err := hex.DecodeString(strings.Join(strings.Fields(block[2]), ""))
		if err != nil || string(got) != string(want[block[1]]) {
			t.Errorf("%s: the document has % x, %v, the package makes % x", block[1], got, err, want[block[1]])
		}
		delete(want, block[1])
	}
	for name := range want {
		t.Errorf("the document has no bytes of %s", name)
	}
}

// Its tables have every command with its number and every field of its bodies.
func TestDocumentedCommands(t *testing.T) {
	rows := make(map[string][]string)
	for line := range strings.Lines(document(t)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if len(cells) >= 3 {
			rows[cells[1]] = append([]string{cells[0]}, cells[2:]...)
		} else if cells[0] == "ConnOpenResp" {
			rows[cells[0]] = cells
		}
	}
	messages := protocol.File_protocol_sluice_proto.Messages()
	body := func(name string) string {
		m := messages.ByName(protoreflect.Name(name))
		if m == nil || m.Fields().Len() == 0 {
			return "–"
		}
		return fields(m)
	}
	for number, name := range protocol.Cmd_Number_name {
		if number == 0 {
			continue
		}
		want := []string{fmt.Sprint(number), body(name)}
		if number >= int32(protocol.Cmd_Register) {
			want = []string{fmt.Sprint(number), body(name + "Req"), body(name + "Resp")}
		}
		if got := rows[name]; strings.Join(got, " | ") != strings.Join(want, " | ") {
			t.Errorf("%s:\n the document has %q\n the package      %q", name, got, want)
		}
	}
	if got, want := rows["ConnOpenResp"], body("ConnOpenResp"); len(got) != 2 || got[1] != want {
		t.Errorf("ConnOpenResp: the document has %q, the package %q", got, want)
	}
}

// fields writes a message's fields as the document does.
func fields(m protoreflect.MessageDescriptor) string {
	var all []string
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		kind := f.Kind().String()
		switch {
		case f.IsMap():
			value := f.MapValue().Kind().String()
			if v := f.MapValue().Message(); v != nil {
				value = "{" + fields(v) + "}"
			}
			kind = "map of " + f.MapKey().Kind().String() + " to " + value
		case f.Message() != nil:
			kind = "of {" + fields(f.Message()) + "}"
		}
		if f.IsList() {
			kind += "*"
		}
		all = append(all, fmt.Sprintf("%s %d %s", f.Name(), f.Number(), kind))
	}
	return strings.Join(all, ", ")
}
