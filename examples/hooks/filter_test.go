package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/hooks"
)

func TestFilter(t *testing.T) {
	h := newHost(t)
	ann, bob := h.Connect(h.target("Ann")), h.Connect(h.target("Bob"))
	for _, tc := range []struct{ said, heard, told string }{
		{"  hello ", "hello", ""},
		{"oh DARN, what the heck", "oh ****, what the ****", ""},
		{"darning and hecklers", "darning and hecklers", ""},
		{" \n ", "", ""},
		{strings.Repeat("ä", 200), strings.Repeat("ä", 200), ""},
		{strings.Repeat("ä", 201), "", "201 characters are too many, 200 are the most"},
	} {
		ann.Send(tc.said)
		if tc.heard != "" {
			want := `{"from":"Ann","text":"` + tc.heard + `"}`
			ann.Expect(want)
			bob.Expect(want)
		}
		if tc.told != "" {
			ann.Expect(`{"text":"` + tc.told + `"}`)
		}
		ann.ExpectNothing()
		bob.ExpectNothing()
	}
}

// The event's bytes stay as they are.
func TestFilterCopies(t *testing.T) {
	var got string
	r := filter(9, "darn")(hooks.RouterFuncs{OnMessage: func(_ context.Context, _ hooks.Bus, e hooks.MessageEvent) {
		got = string(e.Data)
	}})
	data := []byte(" darn ")
	r.Message(t.Context(), nil, hooks.MessageEvent{Data: data})
	if got != "****" || !bytes.Equal(data, []byte(" darn ")) {
		t.Errorf("passed on %q, and the event has %q", got, data)
	}
}
