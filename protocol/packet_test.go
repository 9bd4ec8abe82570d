package protocol_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/protocol"
)

func TestAppendPacketBytes(t *testing.T) {
	prefix := []byte("prefix")
	for _, tt := range []struct {
		name   string
		append func(dst []byte) ([]byte, error)
		want   string
	}{
		{
			"message",
			func(dst []byte) ([]byte, error) {
				return protocol.AppendPacket(dst, protocol.Cmd_SingleCast, &protocol.SingleCast{UniqId: "a", Data: []byte("hi")})
			},
			"0000000b" + "35a4f0d6" + "0a0161" + "12026869",
		},
		{
			"empty message",
			func(dst []byte) ([]byte, error) {
				return protocol.AppendPacket(dst, protocol.Cmd_ConnOpen, &protocol.ConnOpen{})
			},
			"00000004" + "35a4ece9",
		},
		{
			"no message",
			func(dst []byte) ([]byte, error) { return protocol.AppendPacket(dst, protocol.Cmd_Limit, nil) },
			"00000004" + "35a4f4ca",
		},
		{
			"nil pointer",
			func(dst []byte) ([]byte, error) {
				return protocol.AppendPacket(dst, protocol.Cmd_Limit, (*protocol.LimitReq)(nil))
			},
			"00000004" + "35a4f4ca",
		},
		{
			"raw",
			func(dst []byte) ([]byte, error) {
				return protocol.AppendRawPacket(dst, protocol.Cmd_Broadcast, []byte{1, 2, 3})
			},
			"00000007" + "35a4f0d3" + "010203",
		},
		{
			"default heartbeat",
			func(dst []byte) ([]byte, error) { return protocol.AppendHeartbeat(dst, nil), nil },
			"0000000e" + "7e36594f74357257333570694f7e",
		},
		{
			"other heartbeat",
			func(dst []byte) ([]byte, error) { return protocol.AppendHeartbeat(dst, []byte("hb")), nil },
			"00000002" + "6862",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.append(bytes.Clone(prefix))
			if err != nil {
				t.Fatal(err)
			}
			if rest, ok := bytes.CutPrefix(got, prefix); !ok || hex.EncodeToString(rest) != tt.want {
				t.Errorf("got %x, want the prefix and %s", got, tt.want)
			}
		})
	}
}

func TestAppendPacketLeavesDstOnError(t *testing.T) {
	dst := append(make([]byte, 0, 1<<10), "before"...)
	got, err := protocol.AppendPacket(dst, protocol.Cmd_ConnOpen, &protocol.ConnOpen{RawQuery: "\xff"})
	if err == nil || !strings.Contains(err.Error(), "ConnOpen") {
		t.Errorf("error %v, want one that names ConnOpen", err)
	}
	if string(got) != "before" {
		t.Errorf("dst is %q, want it as it was", got)
	}
}

func TestAppendPacketAllocatesNothingItself(t *testing.T) {
	msg := &protocol.SingleCast{UniqId: "7f00000117ae66f2c1a000000001", Data: make([]byte, 1000)}
	dst := make([]byte, 0, 8+proto.Size(msg))
	if n := testing.AllocsPerRun(100, func() {
		if _, err := protocol.AppendPacket(dst, protocol.Cmd_SingleCast, msg); err != nil {
			t.Error(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations for a packet that just fits dst, want none", n)
	}
}

func TestPacketUnmarshal(t *testing.T) {
	body, err := proto.Marshal(&protocol.Transfer{UniqId: "u", Session: "s", Data: []byte("data")})
	if err != nil {
		t.Fatal(err)
	}
	got := &protocol.Transfer{CustomerId: "stale"}
	if err := (protocol.Packet{Cmd: protocol.Cmd_Transfer, Body: body}).Unmarshal(got); err != nil {
		t.Fatal(err)
	}
	clear(body)
	if got.UniqId != "u" || got.Session != "s" || string(got.Data) != "data" || got.CustomerId != "" {
		t.Errorf("got %v, want the message alone and with memory of its own", got)
	}
	err = protocol.Packet{Cmd: protocol.Cmd_Transfer, Body: []byte{0xff}}.Unmarshal(got)
	if err == nil || !strings.Contains(err.Error(), "Transfer") {
		t.Errorf("error %v, want one that names Transfer", err)
	}
}

// writeLog records each call and fails where told.
type writeLog struct {
	calls [][]byte
	err   error
	short bool
}

func (w *writeLog) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	w.calls = append(w.calls, bytes.Clone(p))
	if w.short {
		return len(p) - 1, nil
	}
	return len(p), nil
}

func TestWriterGathers(t *testing.T) {
	var log writeLog
	w := protocol.NewWriter(&log, 0)
	must(t, w.Flush())
	must(t, w.Write(protocol.Cmd_Limit, nil))
	must(t, w.WriteRaw(protocol.Cmd_Broadcast, []byte{10, 1, 'x'}))
	must(t, w.WriteHeartbeat(nil))
	if len(log.calls) != 0 {
		t.Fatal("the writer wrote before Flush")
	}
	want := appendRaw(t, nil, protocol.Cmd_Limit, nil)
	want = appendRaw(t, want, protocol.Cmd_Broadcast, []byte{10, 1, 'x'})
	want = protocol.AppendHeartbeat(want, nil)
	if w.Buffered() != len(want) {
		t.Errorf("%d bytes wait, want %d", w.Buffered(), len(want))
	}
	must(t, w.Flush())
	must(t, w.Flush())
	if len(log.calls) != 1 || !bytes.Equal(log.calls[0], want) {
		t.Errorf("wrote %x, want %x in one call", log.calls, want)
	}
	if w.Buffered() != 0 {
		t.Errorf("%d bytes wait after Flush", w.Buffered())
	}
}

func TestWriterBoundsWhatWaits(t *testing.T) {
	var log writeLog
	w := protocol.NewWriter(&log, 0)
	for range 1000 {
		must(t, w.WriteRaw(protocol.Cmd_Broadcast, make([]byte, 1000)))
		if w.Buffered() >= 64<<10 {
			t.Fatalf("%d bytes wait", w.Buffered())
		}
	}
	if n := len(log.calls); n < 10 || n > 20 {
		t.Errorf("%d writes for 1 MB, want one for each 64 KiB", n)
	}
}

func TestWriterLimit(t *testing.T) {
	for _, tt := range []struct {
		name        string
		limit, size int
		want        *protocol.PacketTooLargeError
	}{
		{"at the limit", 100, 96, nil},
		{"above the limit", 100, 97, &protocol.PacketTooLargeError{Size: 101, Limit: 100}},
		{"at the default", 0, 2<<20 - 4, nil},
		{"above the default", -1, 2<<20 - 3, &protocol.PacketTooLargeError{Size: 2<<20 + 1, Limit: 2 << 20}},
		{"huge limit", math.MaxInt, 3 << 20, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, write := range []func(w *protocol.Writer) error{
				func(w *protocol.Writer) error { return w.WriteRaw(protocol.Cmd_Broadcast, make([]byte, tt.size)) },
				func(w *protocol.Writer) error {
					data := make([]byte, tt.size)
					msg := &protocol.Broadcast{Data: data}
					msg.Data = data[proto.Size(msg)-tt.size:]
					return w.Write(protocol.Cmd_Broadcast, msg)
				},
			} {
				var log writeLog
				w := protocol.NewWriter(&log, tt.limit)
				err := write(w)
				if tt.want == nil {
					must(t, err)
					continue
				}
				var tooLarge *protocol.PacketTooLargeError
				if !errors.As(err, &tooLarge) || *tooLarge != *tt.want {
					t.Errorf("error %v, want %v", err, tt.want)
				}
				must(t, w.Flush())
				must(t, w.Write(protocol.Cmd_Limit, nil))
				must(t, w.Flush())
				if got := bytes.Join(log.calls, nil); len(got) != 8 {
					t.Errorf("the writer sent %d bytes, want the small packet alone", len(got))
				}
			}
		})
	}
}

func TestWriterKeepsItsError(t *testing.T) {
	broken := errors.New("broken pipe")
	for _, tt := range []struct {
		name string
		log  writeLog
		want string
	}{
		{"failed write", writeLog{err: broken}, broken.Error()},
		{"short write", writeLog{short: true}, "short write"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := protocol.NewWriter(&tt.log, 0)
			must(t, w.Write(protocol.Cmd_Limit, nil))
			first := w.Flush()
			if first == nil || first.Error() != tt.want {
				t.Fatalf("Flush: %v, want %s", first, tt.want)
			}
			tt.log.err, tt.log.short = nil, false
			sent := len(tt.log.calls)
			for name, again := range map[string]error{
				"Write":          w.Write(protocol.Cmd_Limit, nil),
				"WriteRaw":       w.WriteRaw(protocol.Cmd_Limit, nil),
				"WriteHeartbeat": w.WriteHeartbeat(nil),
				"Flush":          w.Flush(),
			} {
				if again != first { // the same error, not one like it
					t.Errorf("%s after the failure: %v, want %v", name, again, first)
				}
			}
			if len(tt.log.calls) != sent {
				t.Error("the writer went on after a failure")
			}
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func appendRaw(t testing.TB, dst []byte, cmd protocol.Cmd_Number, body []byte) []byte {
	t.Helper()
	dst, err := protocol.AppendRawPacket(dst, cmd, body)
	must(t, err)
	return dst
}

func BenchmarkAppendPacket(b *testing.B) {
	msg := &protocol.SingleCast{UniqId: "7f00000117ae66f2c1a000000001", Data: make([]byte, 128)}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if dst, err = protocol.AppendPacket(dst[:0], protocol.Cmd_SingleCast, msg); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(len(dst)))
}
