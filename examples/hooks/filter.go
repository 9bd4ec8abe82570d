package main

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/sluicegate/sluice/hooks"
)

// filter returns middleware that keeps texts from the Router which are empty or
// longer than so many characters, and has words replaced in the others. Whoever
// sent too long a text is told.
func filter(longest int, words ...string) hooks.Middleware {
	var quoted []string
	for _, w := range words {
		quoted = append(quoted, regexp.QuoteMeta(w))
	}
	bad := regexp.MustCompile(`(?i)\b(` + strings.Join(quoted, "|") + `)\b`)
	mask := func(word []byte) []byte { return bytes.Repeat([]byte("*"), utf8.RuneCount(word)) }
	return func(next hooks.Router) hooks.Router {
		return hooks.RouterFuncs{
			OnOpen:  next.Open,
			OnClose: next.Close,
			OnMessage: func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
				e.Data = bytes.TrimSpace(e.Data)
				switch n := utf8.RuneCount(e.Data); {
				case n == 0:
				case n > longest:
					tell(ctx, bus, e.UniqID, fmt.Sprintf("%d characters are too many, %d are the most", n, longest))
				default:
					// The event's bytes are not ours to change. This makes
					// others, if it changes any.
					e.Data = bad.ReplaceAllFunc(e.Data, mask)
					next.Message(ctx, bus, e)
				}
			},
		}
	}
}
