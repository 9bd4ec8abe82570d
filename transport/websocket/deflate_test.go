package websocket

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/flate"
)

// storedBlock is a DEFLATE block without compression (RFC 1951, section 3.2.4),
// starting at a byte.
func storedBlock(final bool, data string) string {
	b := byte(0)
	if final {
		b = 1
	}
	n := len(data)
	return string([]byte{b, byte(n), byte(n >> 8), ^byte(n), ^byte(n >> 8)}) + data
}

// finalStream is data as a finished DEFLATE stream, its last block final.
func finalStream(data string) string {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, 9)
	w.Write([]byte(data))
	w.Close()
	return b.String()
}

var deflateVectors = []struct {
	name, src, want string
}{
	{"RFC 7692 7.2.3.1 one block", "\xf2\x48\xcd\xc9\xc9\x07\x00", "Hello"},
	{"RFC 7692 7.2.3.3 no compression", "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", "Hello"},
	{"RFC 7692 7.2.3.4 BFINAL", "\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "Hello"},
	{"RFC 7692 7.2.3.5 two blocks", "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", "Hello"},
	{"RFC 7692 7.2.3.6 empty", "\x00", ""},
	{"no payload at all", "", ""},
	{"empty blocks only", strings.Repeat(storedBlock(false, ""), 100) + "\x00", ""},
	{"empty blocks between", storedBlock(false, "a") + strings.Repeat(storedBlock(false, ""), 9) + storedBlock(false, "b") + "\x00", "ab"},
	{"BFINAL without the block after it", "\xf3\x48\xcd\xc9\xc9\x07\x00", "Hello"},
	{"empty final block", storedBlock(true, "") + "\x00", ""},
	{"more after a final block", storedBlock(true, "Hel") + storedBlock(false, "lo") + "\x00", "Hello"},
	{"two final streams", finalStream(strings.Repeat("ab", 50)) + finalStream("cd") + "\x00", strings.Repeat("ab", 50) + "cd"},
	{"64 final blocks", strings.Repeat(storedBlock(true, "x"), 64) + "\x00", strings.Repeat("x", 64)},
	// A fixed block: match of length 3 at distance 5, then end of block.
	{"a match into what precedes a final block", storedBlock(true, "Hello") + "\x02\x12\x00\x00", "HelloHel"},
}

func TestInflaterVectors(t *testing.T) {
	var f Inflater
	for _, tt := range deflateVectors {
		t.Run(tt.name, func(t *testing.T) {
			src := []byte(tt.src)
			got, err := f.Inflate(src, 1000)
			if err != nil || string(got) != tt.want {
				t.Fatalf("got %q, %v, want %q", got, err, tt.want)
			}
			if string(src) != tt.src {
				t.Error("src was written to")
			}
			got, err = f.Inflate(src, len(tt.want))
			if err != nil || string(got) != tt.want {
				t.Errorf("at the limit: %q, %v", got, err)
			}
			if len(tt.want) > 0 {
				_, err = f.Inflate(src, len(tt.want)-1)
				wantCode(t, err, CloseMessageTooBig)
			}
		})
	}
}

func wantCode(t *testing.T, err error, code int) {
	t.Helper()
	var ce *CloseError
	if !errors.As(err, &ce) || ce.Code != code {
		t.Errorf("error %v, want code %d", err, code)
	}
}

func TestInflaterCorrupt(t *testing.T) {
	tests := []struct{ name, src string }{
		{"reserved block type", "\x07"},
		{"bad stored length", "\x00\x05\x00\x00\x00hello"},
		{"cut stored block", storedBlock(false, strings.Repeat("x", 100))[:50]},
		{"cut fixed block", "\xf2\x48\xcd\xc9"},
		{"distance before the start", "\x02\x12\x00\x00"},
		{"text", "this is not compressed at all"},
		{"garbage after a final block", "\xf3\x48\xcd\xc9\xc9\x07\x00\x07"},
		{"65 final blocks", strings.Repeat(storedBlock(true, "x"), 65) + "\x00"},
	}
	var f Inflater
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, err := f.Inflate([]byte(tt.src), 1<<20)
			wantCode(t, err, CloseInvalidPayload)
			if out != nil {
				t.Errorf("data with an error: %q", out)
			}
			// One bad message leaves the Inflater fit for the next.
			if out, err = f.Inflate([]byte("\xf2\x48\xcd\xc9\xc9\x07\x00"), 5); string(out) != "Hello" {
				t.Errorf("afterwards: %q, %v", out, err)
			}
		})
	}
}

// zeroBomb is a message of n megabytes of zeros.
func zeroBomb(t testing.TB, n int) []byte {
	c, err := NewCompressor(9)
	if err != nil {
		t.Fatal(err)
	}
	z := append(c.AppendCompressed(nil, make([]byte, 1<<20)), "\x00\x00\xff\xff"...)
	return bytes.Repeat(z, n)[:n*len(z)-4]
}

func TestInflaterBomb(t *testing.T) {
	const limit = 1 << 20
	bomb := zeroBomb(t, 256)
	if len(bomb) > 300<<10 {
		t.Fatalf("the bomb has %d bytes", len(bomb))
	}
	cfg := &DecoderConfig{MaxMessage: limit, Inflater: new(Inflater)}
	frame := AppendMaskedFrame(nil, true, true, OpBinary, testMask, bomb)
	var d Decoder
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got := feed(t, &d, cfg, true, nil, split(frame, 64<<10)...)
	runtime.ReadMemStats(&after)
	if len(got) != 1 || got[0] != fails(CloseMessageTooBig) {
		t.Fatal(got)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 6*limit {
		t.Errorf("%d bytes were allocated", used)
	}
	if n := cap(cfg.Inflater.out); n > limit+1 {
		t.Errorf("the Inflater keeps %d bytes", n)
	}
	if d.Buffered() != 0 {
		t.Errorf("the Decoder keeps %d bytes", d.Buffered())
	}
}

func TestInflaterNeverExceedsLimit(t *testing.T) {
	bomb := zeroBomb(t, 4)
	for _, limit := range []int{-1, 0, 1, 63, 64, 511, 512, 513, 4096, 1 << 20} {
		var f Inflater
		_, err := f.Inflate(bomb, limit)
		wantCode(t, err, CloseMessageTooBig)
		if n := cap(f.out); n > max(limit+1, 1) { // a large one is gone by now: TestInflaterBomb
			t.Errorf("limit %d: a buffer of %d bytes", limit, n)
		}
	}
}

// Bombs that come one after the other share a buffer, which goes when it is large and
// when there is nothing but bombs.
func TestInflaterAfterBombs(t *testing.T) {
	bomb, limit := zeroBomb(t, 8), 1<<20
	var f Inflater
	_, err := f.Inflate(bomb, limit)
	wantCode(t, err, CloseMessageTooBig)
	first := &f.out[:1][0]
	if n := testing.AllocsPerRun(leanMessages-3, func() { f.Inflate(bomb, limit) }); n > 1 { // the error
		t.Errorf("%v allocations for the next bombs", n)
	}
	if &f.out[:1][0] != first {
		t.Error("they had another buffer")
	}
	if f.Inflate(bomb, limit); f.out != nil {
		t.Errorf("after %d bombs %d bytes are kept", leanMessages, cap(f.out))
	}
	_, err = f.Inflate(bomb, 4*limit)
	wantCode(t, err, CloseMessageTooBig)
	if f.out != nil {
		t.Errorf("after one with a large limit %d bytes are kept", cap(f.out))
	}
}

// broken stands for a decompressor with a bug.
type broken struct{}

func (broken) Read([]byte) (int, error)      { panic("bug") }
func (broken) Reset(io.Reader, []byte) error { return nil }

func TestInflaterSurvivesPanic(t *testing.T) {
	f := Inflater{zr: broken{}, buf: bufio.NewReader(nil)}
	_, err := f.Inflate([]byte("\x00"), 10)
	wantCode(t, err, CloseInternalError)
	if out, err := f.Inflate([]byte("\xf2\x48\xcd\xc9\xc9\x07\x00"), 5); string(out) != "Hello" {
		t.Errorf("afterwards: %q, %v", out, err)
	}
}

func TestInflaterShrinks(t *testing.T) {
	c, _ := NewCompressor(1)
	big := c.AppendCompressed(nil, bytes.Repeat([]byte("0123456789abcdef"), 1<<15))
	small := c.AppendCompressed(nil, []byte("small"))
	var f Inflater
	out, err := f.Inflate(big, 1<<20)
	if err != nil || len(out) != 1<<19 {
		t.Fatal(len(out), err)
	}
	for range leanMessages - 1 {
		f.Inflate(small, 1<<20)
	}
	if cap(f.out) < 1<<19 {
		t.Fatal("the buffer went too early")
	}
	out, _ = f.Inflate(small, 1<<20)
	if f.out != nil || string(out) != "small" {
		t.Errorf("after %d small messages %d bytes are kept; last result %q", leanMessages, cap(f.out), out)
	}
	f.Inflate(big, 1<<20)
	for range 10 * leanMessages { // regular use keeps it
		f.Inflate(small, 1<<20)
		f.Inflate(big, 1<<20)
	}
	if f.out == nil {
		t.Error("a buffer in use was let go")
	}
}

func TestCompressorRoundTrip(t *testing.T) {
	if _, err := NewCompressor(10); err == nil {
		t.Error("level 10 accepted")
	}
	if _, err := NewCompressor(-3); err == nil {
		t.Error("level -3 accepted")
	}
	rng := rand.New(rand.NewPCG(1, 2))
	random := make([]byte, 200_000)
	for i := range random {
		random[i] = byte(rng.Uint32())
	}
	payloads := [][]byte{nil, []byte("a"), []byte("Hello"), bytes.Repeat([]byte("ab"), 300), random[:1000], random, bytes.Repeat(random[:777], 300)}
	var f Inflater
	for level := -2; level <= 9; level++ {
		c, err := NewCompressor(level)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range payloads {
			prefix := []byte("prefix")
			got := c.AppendCompressed(prefix, p)
			z, ok := bytes.CutPrefix(got, []byte("prefix"))
			if !ok || len(z) == 0 || bytes.HasSuffix(z, []byte("\x00\x00\xff\xff")) {
				t.Fatalf("level %d: % x", level, got)
			}
			out, err := f.Inflate(z, len(p))
			if err != nil || !bytes.Equal(out, p) {
				t.Fatalf("level %d, %d bytes: %v", level, len(p), err)
			}
			// What our own compressor makes of a message at the limit passes.
			if len(z) > deflatedLimit(len(p)) {
				t.Errorf("level %d: %d bytes became %d", level, len(p), len(z))
			}
		}
	}
}

func TestCompressorConcurrent(t *testing.T) {
	c, _ := NewCompressor(1)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			var f Inflater
			var z []byte
			for i := range 50 {
				p := bytes.Repeat([]byte{byte(g), byte(i)}, 1+i*3)
				z = c.AppendCompressed(z[:0], p)
				if out, err := f.Inflate(z, len(p)); err != nil || !bytes.Equal(out, p) {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestDecoderCompressed(t *testing.T) {
	cfg := &DecoderConfig{MaxMessage: 1000, Inflater: new(Inflater)}
	for _, tt := range deflateVectors {
		checkFeed(t, maskedRSV1(true, OpText, tt.src), cfg, true, []event{text(tt.want)})
		for i := range len(tt.src) + 1 {
			in := maskedRSV1(false, OpText, tt.src[:i]) + masked(true, OpPing, "!") + masked(true, OpContinuation, tt.src[i:]) + masked(true, OpText, "plain")
			want := []event{ping("!"), text(tt.want), text("plain")}
			if got := feed(t, new(Decoder), cfg, true, nil, []byte(in)); !slices.Equal(got, want) {
				t.Fatalf("%s, fragments at %d: %v", tt.name, i, got)
			}
			if i == len(tt.src)/2 {
				checkFeed(t, in, cfg, true, want)
			}
		}
	}
	// UTF-8 is a matter of the inflated text; compressed bytes are never text.
	c, _ := NewCompressor(6)
	for _, s := range append(slices.Clone(invalidTexts), cutTexts...) {
		z := string(c.AppendCompressed(nil, []byte(s)))
		checkFeed(t, maskedRSV1(true, OpText, z), cfg, true, []event{fails(1007)})
		checkFeed(t, maskedRSV1(true, OpBinary, z), cfg, true, []event{bin(s)})
	}
	checkFeed(t, maskedRSV1(true, OpText, "\x07"), cfg, true, []event{fails(1007)})

	// The limit is on both forms.
	z := string(c.AppendCompressed(nil, make([]byte, 1001)))
	checkFeed(t, maskedRSV1(true, OpBinary, z), cfg, true, []event{fails(1009)})
	bound := deflatedLimit(1000)
	blocks := strings.Repeat(storedBlock(false, ""), 1000)
	near := bound - bound%5 - 4 // whole blocks and the first byte of one, whose rest the receiver adds
	checkFeed(t, maskedRSV1(false, OpBinary, blocks[:near])+masked(true, OpContinuation, ""), cfg, true, []event{bin("")})
	checkFeed(t, maskedRSV1(true, OpBinary, blocks[:bound])[:8], cfg, true, nil)
	checkFeed(t, maskedRSV1(true, OpBinary, blocks[:bound+1])[:4], cfg, true, []event{fails(1009)})
	checkFeed(t, maskedRSV1(false, OpBinary, blocks[:bound])+masked(false, OpContinuation, "x")[:2], cfg, true, []event{fails(1009)})
	// An uncompressed message gets no slack from a connection with deflate.
	checkFeed(t, masked(true, OpBinary, strings.Repeat("x", 1001))[:4], cfg, true, []event{fails(1009)})

	// What nobody reads is not inflated, however large or wrong it is.
	closing := &DecoderConfig{MaxMessage: 1000, NoInflate: true}
	for _, s := range []string{z, "\x07"} {
		in := maskedRSV1(true, OpText, s) + masked(true, OpPing, "!")
		checkFeed(t, in, closing, true, []event{text(s), ping("!")})
	}

	// Without an Inflater it is the server's fault, not a crash.
	for _, cfg := range []*DecoderConfig{nil, {}} {
		checkFeed(t, maskedRSV1(true, OpText, "\x00"), cfg, true, []event{fails(1011)})
	}
}

func TestDeflatedLimitOverflow(t *testing.T) {
	const most = int(^uint(0) >> 1)
	for _, limit := range []int{1, DefaultMaxMessage, most / 2, most - 100, most} {
		if got := deflatedLimit(limit); got < limit {
			t.Errorf("deflatedLimit(%d) = %d", limit, got)
		}
	}
	cfg := &DecoderConfig{MaxMessage: most, Inflater: new(Inflater)}
	checkFeed(t, maskedRSV1(true, OpText, "\xf2\x48\xcd\xc9\xc9\x07\x00"), cfg, true, []event{text("Hello")})
}
