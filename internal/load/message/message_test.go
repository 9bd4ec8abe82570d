package message_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/sluicegate/sluice/internal/load/message"
)

func TestMessagesAreReadAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	for _, kind := range []message.Kind{
		message.Echo, message.Who, message.Join, message.Leave, message.Say, message.Login, message.Logout, message.Push,
	} {
		for _, h := range []message.Head{
			{}, {Due: 123456789, Seq: 7, From: 1000}, {Due: math.MaxInt64, Seq: math.MaxUint32, From: math.MaxUint32}, {Due: 0x0123456789abcdef},
		} {
			h.Kind = kind
			for _, name := range []string{"", "t", "t0,t1"} {
				for _, size := range []int{0, message.HeadSize, 100, 1000} {
					data := message.Append([]byte("before"), h, name, size)[len("before"):]
					if len(data) != max(size, message.HeadSize) && (name == "" || len(data) != message.HeadSize+2+len(name)) {
						t.Errorf("%+v %q has %d bytes, not %d", h, name, len(data), size)
					}
					if got, ok := message.Parse(data); !ok || got != h {
						t.Errorf("%q is read as %+v %v, want %+v", data, got, ok, h)
					}
					if got := message.Name(data); string(got) != name {
						t.Errorf("the name in %q is read as %q, want %q", data, got, name)
					}
				}
			}
		}
	}
}

func TestParseRefusesWhatIsNoMessage(t *testing.T) {
	t.Parallel()
	good := message.Append(nil, message.Head{Kind: message.Echo, Due: time.Hour}, "", 50)
	if _, ok := message.Parse(good[:message.HeadSize-1]); ok {
		t.Error("a message that is cut short is taken")
	}
	for at := range message.HeadSize {
		for _, b := range []byte{' ', '/', 'G', 'z' + 1, 0x80, 0xe1} {
			bad := append([]byte(nil), good...)
			bad[at] = b
			if h, ok := message.Parse(bad); ok {
				t.Errorf("%q is read as %+v", bad, h)
			}
		}
	}
}

func ExampleAppend() {
	h := message.Head{Kind: message.Say, Due: 123456789 * time.Nanosecond, Seq: 7, From: 1000}
	fmt.Println(string(message.Append(nil, h, "g12", 48)))
	// Output: g00000000075bcd1500000007000003e8 g12 ..........
}

func BenchmarkParse(b *testing.B) {
	data := message.Append(nil, message.Head{Kind: message.Push, Due: time.Minute, Seq: 1000}, "", 100)
	for b.Loop() {
		if _, ok := message.Parse(data); !ok {
			b.Fatal("not a message")
		}
	}
}
