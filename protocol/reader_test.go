package protocol_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"runtime"
	"testing"
	"testing/iotest"

	"github.com/sluicegate/sluice/protocol"
)

// stream is a stream of every shape of packet, and shapes what a reader makes of it.
func stream(t testing.TB) (data []byte, shapes []protocol.Packet) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 20<<10)
	data = appendRaw(t, data, protocol.Cmd_ConnOpen, []byte("first"))
	data = protocol.AppendHeartbeat(data, nil)
	data = appendRaw(t, data, protocol.Cmd_UniqIdCount, nil)
	data = appendRaw(t, data, protocol.Cmd_Broadcast, big)
	data = protocol.AppendHeartbeat(data, nil)
	data = protocol.AppendHeartbeat(data, nil)
	data = appendRaw(t, data, -1, []byte("unknown"))
	return data, []protocol.Packet{
		{Cmd: protocol.Cmd_ConnOpen, Body: []byte("first")},
		{},
		{Cmd: protocol.Cmd_UniqIdCount},
		{Cmd: protocol.Cmd_Broadcast, Body: big},
		{},
		{},
		{Cmd: -1, Body: []byte("unknown")},
	}
}

func TestReaderHoweverTheBytesArrive(t *testing.T) {
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"whole":          func(r io.Reader) io.Reader { return r },
		"byte by byte":   iotest.OneByteReader,
		"halves":         iotest.HalfReader,
		"error with end": iotest.DataErrReader,
		"empty reads":    func(r io.Reader) io.Reader { return &stutter{r: r} },
	} {
		t.Run(name, func(t *testing.T) {
			data, want := stream(t)
			expectPackets(t, protocol.NewReader(wrap(bytes.NewReader(data)), 0, nil), want)
		})
	}
}

func TestReaderSplitAnywhere(t *testing.T) {
	var data []byte
	data = appendRaw(t, data, protocol.Cmd_ConnOpen, []byte("one"))
	data = protocol.AppendHeartbeat(data, nil)
	data = appendRaw(t, data, protocol.Cmd_ConnClose, nil)
	want := []protocol.Packet{{Cmd: protocol.Cmd_ConnOpen, Body: []byte("one")}, {}, {Cmd: protocol.Cmd_ConnClose}}
	for i := range data {
		src := io.MultiReader(bytes.NewReader(data[:i]), bytes.NewReader(data[i:]))
		expectPackets(t, protocol.NewReader(src, 0, nil), want)
	}
}

// stutter returns nothing from every second read.
type stutter struct {
	r     io.Reader
	empty bool
}

func (s *stutter) Read(p []byte) (int, error) {
	if s.empty = !s.empty; s.empty {
		return 0, nil
	}
	return s.r.Read(p)
}

func expectPackets(t *testing.T, r *protocol.Reader, want []protocol.Packet) {
	t.Helper()
	for i, w := range want {
		got, err := r.Next()
		if err != nil {
			t.Fatalf("packet %d: %v", i, err)
		}
		if got.Cmd != w.Cmd || !bytes.Equal(got.Body, w.Body) || got.Heartbeat() != (w.Cmd == 0) {
			t.Fatalf("packet %d: command %v, %d bytes, heartbeat %v; want command %v, %d bytes",
				i, got.Cmd, len(got.Body), got.Heartbeat(), w.Cmd, len(w.Body))
		}
	}
	for range 2 {
		if _, err := r.Next(); err != io.EOF { // callers may compare with ==
			t.Fatalf("after the last packet: %v, want io.EOF itself", err)
		}
	}
}

func TestReaderEndInsidePacket(t *testing.T) {
	whole := appendRaw(t, nil, protocol.Cmd_ConnOpen, []byte("body"))
	data := append(bytes.Clone(whole), whole...)
	for cut := range len(data) + 1 {
		r := protocol.NewReader(bytes.NewReader(data[:cut]), 0, nil)
		var err error
		for err == nil {
			_, err = r.Next()
		}
		want := io.ErrUnexpectedEOF
		if cut%len(whole) == 0 {
			want = io.EOF
		}
		if err != want { // callers may compare with ==
			t.Errorf("cut after %d bytes: %v, want %v", cut, err, want)
		}
	}
}

func TestReaderHeartbeat(t *testing.T) {
	packet := func(content string) []byte {
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(content))), content...)
	}
	for _, tt := range []struct {
		name, heartbeat, content string
		want                     bool
		err                      error
	}{
		{"default", "", "~6YOt5rW35piO~", true, nil},
		{"default, one byte off", "", "~6YOt5rW35piO-", false, nil},
		{"default, longer", "", "~6YOt5rW35piO~~", false, nil},
		{"default is not in force", "other", "~6YOt5rW35piO~", false, nil},
		{"own", "other", "other", true, nil},
		{"short", "hb", "hb", true, nil},
		{"short, other content", "hb", "bh", false, protocol.ErrShortPacket},
		{"one byte", "h", "h", true, nil},
		{"four bytes", "beat", "beat", true, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			heartbeat := []byte(tt.heartbeat)
			r := protocol.NewReader(bytes.NewReader(packet(tt.content)), 0, heartbeat)
			for i := range heartbeat {
				heartbeat[i] = 'X'
			}
			p, err := r.Next()
			if !errors.Is(err, tt.err) || p.Heartbeat() != tt.want {
				t.Fatalf("heartbeat %v, error %v; want %v, %v", p.Heartbeat(), err, tt.want, tt.err)
			}
			if tt.want && (p.Cmd != 0 || len(p.Body) != 0) {
				t.Errorf("the heartbeat has command %v and %d bytes", p.Cmd, len(p.Body))
			}
		})
	}
}

func TestReaderRefusesShortPackets(t *testing.T) {
	for size := range uint32(4) {
		header := binary.BigEndian.AppendUint32(nil, size)
		r := protocol.NewReader(io.MultiReader(bytes.NewReader(header), iotest.ErrReader(errors.New("read on"))), 0, nil)
		for range 2 {
			if _, err := r.Next(); !errors.Is(err, protocol.ErrShortPacket) {
				t.Errorf("length %d: %v, want ErrShortPacket at once, and for ever", size, err)
			}
		}
	}
}

func TestReaderLimit(t *testing.T) {
	for _, tt := range []struct {
		name     string
		limit    int
		declared uint32
		want     int // the limit that the error names, 0 for none
	}{
		{"at the limit", 10, 10, 0},
		{"above the limit", 10, 11, 10},
		{"default", 0, 2 << 20, 0},
		{"above the default", 0, 2<<20 + 1, 2 << 20},
		{"negative means default", -5, 2<<20 + 1, 2 << 20},
		{"largest length", 1 << 20, math.MaxUint32, 1 << 20},
		{"unlimited is 2 GiB", math.MaxInt, math.MaxUint32, math.MaxInt32 - 4},
		{"heartbeat above the limit", 13, 14, 13},
	} {
		t.Run(tt.name, func(t *testing.T) {
			header := binary.BigEndian.AppendUint32(nil, tt.declared)
			if tt.want == 0 {
				r := protocol.NewReader(io.MultiReader(bytes.NewReader(header), io.LimitReader(zeros{}, int64(tt.declared))), tt.limit, nil)
				p, err := r.Next()
				if err != nil || len(p.Body) != int(tt.declared)-4 {
					t.Errorf("%d bytes, error %v; want %d", len(p.Body), err, tt.declared-4)
				}
				return
			}
			r := protocol.NewReader(io.MultiReader(bytes.NewReader(header), iotest.ErrReader(errors.New("read on"))), tt.limit, nil)
			for range 2 {
				_, err := r.Next()
				var tooLarge *protocol.PacketTooLargeError
				if !errors.As(err, &tooLarge) {
					t.Fatalf("error %v, want a PacketTooLargeError before any further read", err)
				}
				if tooLarge.Size != int64(tt.declared) || tooLarge.Limit != tt.want {
					t.Errorf("error %+v, want size %d and limit %d", *tooLarge, tt.declared, tt.want)
				}
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A deadline that passes inside a packet must not cost the bytes that came before it.
func TestReaderGoesOnAfterTimeout(t *testing.T) {
	data, want := stream(t)
	r := protocol.NewReader(&interrupted{data: data, step: 7777}, 0, nil)
	for i := 0; i < len(want); {
		p, err := r.Next()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		}
		if err != nil || p.Cmd != want[i].Cmd || !bytes.Equal(p.Body, want[i].Body) {
			t.Fatalf("packet %d: command %v, %d bytes, error %v", i, p.Cmd, len(p.Body), err)
		}
		i++
	}
}

// interrupted times out after every read, with the last bytes of it or on its own, by turns.
type interrupted struct {
	data  []byte
	step  int
	turns int
}

func (s *interrupted) Read(p []byte) (int, error) {
	s.turns++
	switch s.turns % 3 {
	case 0:
		return 0, os.ErrDeadlineExceeded
	case 1:
		n := copy(p, s.data[:min(s.step, len(s.data))])
		s.data = s.data[n:]
		return n, os.ErrDeadlineExceeded
	}
	n := copy(p, s.data[:min(s.step, len(s.data))])
	s.data = s.data[n:]
	return n, nil
}

type badCount int

func (n badCount) Read([]byte) (int, error) { return int(n), nil }

func TestReaderSurvivesBadStreams(t *testing.T) {
	if _, err := protocol.NewReader(badCount(0), 0, nil).Next(); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("stream that returns nothing: %v, want io.ErrNoProgress", err)
	}
	for _, n := range []int{-1, math.MaxInt} {
		if _, err := protocol.NewReader(badCount(n), 0, nil).Next(); err == nil {
			t.Errorf("stream that returns %d bytes: no error", n)
		}
	}
	broken := errors.New("broken")
	if _, err := protocol.NewReader(iotest.ErrReader(broken), 0, nil).Next(); err != broken { // as it is
		t.Errorf("broken stream: %v, want its error as it is", err)
	}
}

func TestReaderReady(t *testing.T) {
	src := &chunks{}
	r := protocol.NewReader(src, 100, nil)
	next := func() error { _, err := r.Next(); return err }
	packet := appendRaw(t, nil, protocol.Cmd_ConnOpen, []byte("body"))

	if r.Ready() {
		t.Error("ready before anything was read")
	}
	src.add(packet, packet, packet[:3])
	must(t, next())
	if !r.Ready() {
		t.Error("not ready although the second packet is there")
	}
	must(t, next())
	if r.Ready() {
		t.Error("ready with half a header")
	}
	src.add(packet[3:], packet[:9])
	must(t, next())
	if r.Ready() {
		t.Error("ready with half a packet")
	}
	src.add(packet[9:], []byte{0, 0, 0, 101})
	must(t, next())
	if !r.Ready() {
		t.Error("not ready although the next packet is known to be too large")
	}
	if next() == nil {
		t.Error("no error for a packet above the limit")
	}
	data := protocol.NewReader(iotest.DataErrReader(bytes.NewReader(packet)), 0, nil)
	if _, err := data.Next(); err != nil || !data.Ready() {
		t.Errorf("ready %v, error %v; want the end of the stream to be ready", data.Ready(), err)
	}
}

// chunks returns what was added with one call in one read.
type chunks struct{ pending [][]byte }

func (c *chunks) add(parts ...[]byte) { c.pending = append(c.pending, bytes.Join(parts, nil)) }

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.pending) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.pending[0])
	if c.pending[0] = c.pending[0][n:]; len(c.pending[0]) == 0 {
		c.pending = c.pending[1:]
	}
	return n, nil
}

// sizes records the largest buffer a reader asked to have filled.
type sizes struct {
	r       io.Reader
	largest int
}

func (s *sizes) Read(p []byte) (int, error) {
	s.largest = max(s.largest, len(p))
	return s.r.Read(p)
}

func TestReaderMemoryFollowsBytes(t *testing.T) {
	const claim = 1 << 30
	// Sizes from below the reader's first buffer to far above it: growth itself is what must be modest.
	for _, sent := range []int{0, 1000, 5000, 100_000, 1_000_000} {
		data := append(binary.BigEndian.AppendUint32(nil, claim), make([]byte, sent)...)
		src := &sizes{r: bytes.NewReader(data)}
		allocated := allocatedBy(func() {
			if _, err := protocol.NewReader(src, claim, nil).Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("error %v, want io.ErrUnexpectedEOF", err)
			}
		})
		if most := 2*sent + 8<<10; src.largest > most {
			t.Errorf("after %d bytes of a claimed %d the reader had room for %d more, want at most %d", sent, claim, src.largest, most)
		}
		if most := 4*sent + 32<<10; allocated > uint64(most) {
			t.Errorf("%d bytes of a claimed %d cost %d bytes of memory, want at most %d", sent, claim, allocated, most)
		}
	}
}

func TestReaderShrinks(t *testing.T) {
	const size = 2 << 20
	big := appendRaw(t, nil, protocol.Cmd_Broadcast, make([]byte, size-4))
	small := appendRaw(t, nil, protocol.Cmd_Broadcast, []byte("small"))
	for name, after := range map[string][]byte{
		"silence":     nil,
		"half packet": small[:6],
		"packets":     bytes.Repeat(small, 3),
	} {
		t.Run(name, func(t *testing.T) {
			r := protocol.NewReader(bytes.NewReader(append(bytes.Clone(big), after...)), 0, nil)
			before := inUse()
			if p, err := r.Next(); err != nil || len(p.Body) != size-4 {
				t.Fatalf("%d bytes, error %v", len(p.Body), err)
			}
			if grown := inUse() - before; grown < size {
				t.Fatalf("the packet takes %d bytes: the test measures nothing", grown)
			}
			var err error
			for err == nil {
				_, err = r.Next()
			}
			if grown := inUse() - before; grown > 256<<10 {
				t.Errorf("the reader still holds %d bytes", grown)
			}
			runtime.KeepAlive(r)
		})
	}
}

func TestWriterShrinks(t *testing.T) {
	w := protocol.NewWriter(io.Discard, 0)
	body := make([]byte, 2<<20-4)
	before := inUse()
	must(t, w.WriteRaw(protocol.Cmd_Broadcast, body))
	must(t, w.Flush())
	if grown := inUse() - before; grown > 256<<10 {
		t.Errorf("the writer still holds %d bytes", grown)
	}
	runtime.KeepAlive(w)
	runtime.KeepAlive(body)
}

func TestReaderSteadyStateAllocatesNothing(t *testing.T) {
	packet := appendRaw(t, nil, protocol.Cmd_Broadcast, make([]byte, 500))
	r := protocol.NewReader(&loop{data: packet}, 0, nil)
	for range 1000 {
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := r.Next(); err != nil {
			t.Error(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations for each packet, want none", n)
	}
}

// loop repeats its data without end, filling every buffer it is given.
type loop struct {
	data []byte
	at   int
}

func (l *loop) Read(p []byte) (int, error) {
	for n := 0; n < len(p); {
		c := copy(p[n:], l.data[l.at:])
		n += c
		l.at = (l.at + c) % len(l.data)
	}
	return len(p), nil
}

func inUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func allocatedBy(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func FuzzReader(f *testing.F) {
	data, _ := stream(f)
	f.Add(data[:60], 0, []byte(nil), uint8(0))
	f.Add(data[len(data)-80:], 100, []byte(protocol.DefaultHeartbeat), uint8(1))
	f.Add(protocol.AppendHeartbeat(nil, []byte("hb")), 10, []byte("hb"), uint8(3))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1}, math.MaxInt, []byte("x"), uint8(2))
	f.Add(bytes.Repeat([]byte{0, 0, 0, 4, 0, 0, 0, 1}, 12), 5, []byte(nil), uint8(200))
	f.Add([]byte{0, 0, 0, 3, 'a', 'b', 'c', 0, 0, 0, 0}, 1, []byte("abc"), uint8(5))
	f.Fuzz(func(t *testing.T, data []byte, limit int, heartbeat []byte, step uint8) {
		allowed := min(limit, math.MaxInt32-4)
		if limit <= 0 {
			allowed = protocol.DefaultLimit
		}
		src := &stepped{r: bytes.NewReader(data), step: int(step)}
		r := protocol.NewReader(src, limit, heartbeat)
		rest := data
		for {
			ready, reads := r.Ready(), src.reads
			p, err := r.Next()
			if ready != (src.reads == reads) {
				t.Fatalf("ready %v, then %d reads", ready, src.reads-reads)
			}
			if err != nil {
				checkEnd(t, err, rest, allowed, heartbeat)
				break
			}
			again := protocol.AppendHeartbeat(nil, heartbeat)
			if !p.Heartbeat() {
				again = appendRaw(t, nil, p.Cmd, p.Body)
			}
			if len(again)-4 > allowed {
				t.Fatalf("a packet of %d bytes passed the limit of %d", len(again)-4, allowed)
			}
			var same bool
			if rest, same = bytes.CutPrefix(rest, again); !same {
				t.Fatalf("what was read encodes as %x, which does not begin %x", again, rest)
			}
		}
	})
}

// checkEnd decides in its own way what the rest of a stream must lead to.
func checkEnd(t *testing.T, err error, rest []byte, limit int, heartbeat []byte) {
	if len(heartbeat) == 0 {
		heartbeat = []byte(protocol.DefaultHeartbeat)
	}
	var tooLarge *protocol.PacketTooLargeError
	switch {
	case len(rest) == 0:
		if !errors.Is(err, io.EOF) {
			t.Fatalf("%v at the end of a packet", err)
		}
	case len(rest) < 4:
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("%v inside a header", err)
		}
	case int64(binary.BigEndian.Uint32(rest)) > int64(limit):
		if !errors.As(err, &tooLarge) {
			t.Fatalf("%v for a packet above the limit", err)
		}
	default:
		size := int(binary.BigEndian.Uint32(rest))
		short := size < 4 && (size != len(heartbeat) || len(rest)-4 >= size)
		if short != errors.Is(err, protocol.ErrShortPacket) {
			t.Fatalf("%v for a packet of %d bytes", err, size)
		}
		if !short && (!errors.Is(err, io.ErrUnexpectedEOF) || len(rest)-4 >= size) {
			t.Fatalf("%v with %d of %d bytes at hand", err, len(rest)-4, size)
		}
	}
}

// stepped reads a few bytes at a time, or with a step of 0 as many as there are, and counts the reads.
type stepped struct {
	r     io.Reader
	step  int
	reads int
}

func (s *stepped) Read(p []byte) (int, error) {
	s.reads++
	if s.step > 0 {
		p = p[:min(s.step, len(p))]
	}
	return s.r.Read(p)
}

func BenchmarkReader(b *testing.B) {
	packet := appendRaw(b, nil, protocol.Cmd_Transfer, make([]byte, 180))
	r := protocol.NewReader(&loop{data: packet}, 0, nil)
	b.SetBytes(int64(len(packet)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Next(); err != nil {
			b.Fatal(err)
		}
	}
}
