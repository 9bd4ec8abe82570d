package gateway

import (
	"io"
	"log/slog"
	"strings"
	"testing"
)

// With debug off a message costs the question whether it is on.
func TestMessagesAreLoggedForNothing(t *testing.T) {
	g := newBench(t, Config{Inline: true, Limiter: noMessages{}}).crowd(t, 1)
	message := []byte(strings.Repeat("x", 200))
	for level, want := range map[slog.Level]bool{slog.LevelInfo: false, slog.LevelDebug: true} {
		g.log = slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: level}))
		allocs := testing.AllocsPerRun(100, func() { g.h.Message(g.conns[0], message, false) })
		if allocates := allocs > 0; allocates != want {
			t.Errorf("%v allocations for a message at level %v", allocs, level)
		}
	}
}

// Nothing that a client sends can be anything else in a log.
func TestExcerpt(t *testing.T) {
	for in, want := range map[string]string{
		"":                               "",
		"hello, world":                   "hello, world",
		"a\nlevel=ERROR msg=\"forged\"":  `a\nlevel=ERROR msg=\"forged\"`,
		"\x1b[31mred\x00\xff":            `\x1b[31mred\x00\xff`,
		"żółw":                           `\u017c\u00f3\u0142w`,
		strings.Repeat("x", 64):          strings.Repeat("x", 64),
		strings.Repeat("x", 65):          strings.Repeat("x", 64),
		strings.Repeat("x", 63) + "żółw": strings.Repeat("x", 63) + `\xc5`, // cut within a letter
	} {
		if got := excerpt(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
		if got := excerpt([]byte(in)); got != want {
			t.Errorf("bytes of %q: %s, want %s", in, got, want)
		}
	}
}
