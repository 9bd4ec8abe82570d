package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/gateway/gatewaytest"
	"github.com/sluicegate/sluice/hooks"
)

// A client has its bytes per second, and another one its own.
func TestBytes(t *testing.T) {
	h := newHost(t)
	ann, bob := h.Connect(h.target("Ann")), h.Connect(h.target("Bob"))
	kilo := strings.Repeat("x", 1<<10) // which the filter has an answer to
	for range 5 {
		ann.Send(kilo)
	}
	bob.Send(kilo)
	const answer = `{"text":"1024 characters are too many, 200 are the most"}`
	ann.Expect(answer, answer, answer, answer)
	ann.ExpectNothing()
	bob.Expect(answer)
	h.Advance(time.Second)
	ann.Send(kilo)
	ann.Expect(answer)

	// It may try a few times more.
	for range patience {
		ann.Send(kilo)
	}
	ann.ExpectClose(1008, "too many bytes")
	if n := h.Stats().Drops[hooks.DropClientLimited].Messages; n != patience+1 {
		t.Errorf("%d messages are counted as limited, want %d", n, patience+1)
	}
}

// What hooks/limit limits still is, and what it remembers ends with a client.
func TestWrappedLimits(t *testing.T) {
	h := newHost(t)
	ann := h.Connect(h.target("Ann"))
	for range 11 {
		ann.Send("x")
	}
	for range 10 {
		ann.Expect(`{"from":"Ann","text":"x"}`)
	}
	ann.ExpectNothing()
	ann.Close()

	for range 2 { // 20 places of one address, twice
		var clients []*gatewaytest.Client
		for range 20 {
			h.Advance(100 * time.Millisecond)
			clients = append(clients, h.Connect(h.target("Bob")))
		}
		h.Advance(time.Second)
		_, err := h.TryConnect(h.target("Bob"))
		if r := (*gatewaytest.RefusedError)(nil); !errors.As(err, &r) || r.Status != 429 || r.Header.Get("Retry-After") != "1" {
			t.Errorf("the 21st: %v, want a 429 with a Retry-After", err)
		}
		for _, c := range clients {
			c.Close()
		}
		h.Settle()
	}
	limits, err := h.Limit(t.Context(), hooks.Limits{OnMessage: 7})
	if err != nil || limits != (hooks.Limits{OnOpen: 500, OnMessage: 7}) {
		t.Errorf("the limits in force are %+v, %v", limits, err)
	}
}
