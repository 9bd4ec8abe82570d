package room

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/hooks"
)

const key = "0123456789abcdef"

// code returns the code of the last error a client was sent, and what it was
// about.
func (w *world) code(uniqID string) string {
	errs := pick(w.take(uniqID), "error")
	if len(errs) == 0 {
		return ""
	}
	last := errs[len(errs)-1]
	if last["text"] == "" {
		w.t.Errorf("%v says nothing to people", last)
	}
	return last["code"].(string)
}

// TestRefusals sends what a page would not. In the room "bay" are ann, its
// host, and bob; cid has a nickname and is in no room; new has none.
func TestRefusals(t *testing.T) {
	many := make([]string, MaxRooms)
	for i := range many {
		many[i] = fmt.Sprint("r", i)
	}
	for _, tt := range []struct {
		name, who, raw string
		req            Request
		want           string
	}{
		{name: "not JSON", who: "ann", raw: "hello", want: CodeMalformed},
		{name: "a number", who: "ann", raw: "7", want: CodeMalformed},
		{name: "wrong field", who: "ann", raw: `{"type":"say","room":5}`, want: CodeMalformed},
		{name: "null", who: "ann", raw: "null", want: CodeUnknown},
		{name: "unknown type", who: "ann", req: Request{Type: "shout"}, want: CodeUnknown},
		{name: "no nickname", who: "new", req: Request{Type: TypeJoin, Room: "bay"}, want: CodeNoNick},
		{name: "unknown, no nickname", who: "new", req: Request{Type: "x"}, want: CodeNoNick},
		{name: "nick empty", who: "new", req: Request{Type: TypeNick, Nick: "  "}, want: CodeBadNick},
		{name: "nick long", who: "new", req: Request{Type: TypeNick, Nick: strings.Repeat("x", MaxNick+1)}, want: CodeBadNick},
		{name: "nick longest", who: "new", req: Request{Type: TypeNick, Nick: strings.Repeat("ß", MaxNick)}},
		{name: "nick with space", who: "new", req: Request{Type: TypeNick, Nick: "a b"}, want: CodeBadNick},
		{name: "nick with zero width", who: "new", req: Request{Type: TypeNick, Nick: "an\u200bn"}, want: CodeBadNick},
		{name: "nick with bidi", who: "new", req: Request{Type: TypeNick, Nick: "an\u202en"}, want: CodeBadNick},
		{name: "nick with markup", who: "new", req: Request{Type: TypeNick, Nick: "<b>"}, want: CodeBadNick},
		{name: "nick starts with dot", who: "new", req: Request{Type: TypeNick, Nick: ".ann"}, want: CodeBadNick},
		{name: "nick taken", who: "new", req: Request{Type: TypeNick, Nick: "ann"}, want: CodeNickTaken},
		{name: "nick taken, capitals", who: "new", req: Request{Type: TypeNick, Nick: " ANN"}, want: CodeNickTaken},
		{name: "nick taken, wrong key", who: "new", req: Request{Type: TypeNick, Nick: "ann", Key: key}, want: CodeNickTaken},
		{name: "key short", who: "new", req: Request{Type: TypeNick, Nick: "new", Key: "k"}, want: CodeBadKey},
		{name: "key long", who: "new", req: Request{Type: TypeNick, Nick: "new", Key: strings.Repeat("k", 65)}, want: CodeBadKey},
		{name: "second nick", who: "ann", req: Request{Type: TypeNick, Nick: "eve"}, want: CodeNamed},
		{name: "join nothing", who: "cid", req: Request{Type: TypeJoin}, want: CodeBadRoom},
		{name: "join long", who: "cid", req: Request{Type: TypeJoin, Room: strings.Repeat("x", MaxRoom+1)}, want: CodeBadRoom},
		{name: "join a topic", who: "cid", req: Request{Type: TypeJoin, Room: "host:bay"}, want: CodeBadRoom},
		{name: "leave nothing", who: "cid", req: Request{Type: TypeLeave}, want: CodeBadRoom},
		{name: "leave elsewhere", who: "cid", req: Request{Type: TypeLeave, Room: "bay"}},
		{name: "say outside", who: "cid", req: Request{Type: TypeSay, Room: "bay", Text: "hi"}, want: CodeNotMember},
		{name: "say in no room", who: "cid", req: Request{Type: TypeSay, Text: "hi"}, want: CodeBadRoom},
		{name: "say nothing", who: "bob", req: Request{Type: TypeSay, Room: "bay", Text: " \n"}, want: CodeBadText},
		{name: "say much", who: "bob", req: Request{Type: TypeSay, Room: "bay", Text: strings.Repeat("x", MaxText+1)}, want: CodeBadText},
		{name: "say most", who: "bob", req: Request{Type: TypeSay, Room: "bay", Text: strings.Repeat("ж", MaxText)}},
		{name: "whisper to self", who: "bob", req: Request{Type: TypeWhisper, Nick: "Bob", Text: "hi"}, want: CodeSelf},
		{name: "whisper to nobody", who: "bob", req: Request{Type: TypeWhisper, Nick: "eve", Text: "hi"}, want: CodeNoSuch},
		{name: "whisper nothing", who: "bob", req: Request{Type: TypeWhisper, Nick: "ann"}, want: CodeBadText},
		{name: "kick as member", who: "bob", req: Request{Type: TypeKick, Room: "bay", Nick: "ann"}, want: CodeNotHost},
		{name: "kick as stranger", who: "cid", req: Request{Type: TypeKick, Room: "bay", Nick: "ann"}, want: CodeNotHost},
		{name: "kick self", who: "ann", req: Request{Type: TypeKick, Room: "bay", Nick: "ann"}, want: CodeSelf},
		{name: "kick a stranger", who: "ann", req: Request{Type: TypeKick, Room: "bay", Nick: "cid"}, want: CodeNoSuch},
		{name: "kick nobody", who: "ann", req: Request{Type: TypeKick, Room: "bay", Nick: "eve"}, want: CodeNoSuch},
		{name: "one room too many", who: "dan", req: Request{Type: TypeJoin, Room: "bay"}, want: CodeTooMany},
		{name: "same room again", who: "dan", req: Request{Type: TypeJoin, Room: "r0"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.enter("ann", "bay")
			w.enter("bob", "bay")
			w.enter("cid")
			w.enter("dan", many...)
			w.open("new")
			w.takeAll()
			if tt.raw != "" {
				w.raw(tt.who, tt.raw)
			} else {
				w.send(tt.who, tt.req)
			}
			if got := w.code(tt.who); got != tt.want {
				t.Errorf("got code %q, want %q", got, tt.want)
			}
			if tt.want == "" {
				return
			}
			for _, other := range []string{"ann", "bob", "cid", "dan"} {
				if got := w.take(other); other != tt.who && len(got) > 0 {
					t.Errorf("%s was told %v of a refused request", other, got)
				}
			}
		})
	}
}

func TestTalk(t *testing.T) {
	w := newWorld(t)
	w.enter("ann", "bay")
	w.enter("bob", "bay", "sea")
	w.enter("cid", "sea")
	w.takeAll()

	w.send("bob", Request{Type: TypeSay, Room: "Bay", Text: " <b>ahoy</b> "})
	for _, who := range []string{"ann", "bob"} {
		said := pick(w.take(who), "said")
		if len(said) != 1 || said[0]["text"] != "<b>ahoy</b>" || said[0]["nick"] != "bob" || said[0]["room"] != "bay" {
			t.Errorf("%s heard %v", who, said)
		}
	}
	if got := w.take("cid"); len(got) > 0 {
		t.Errorf("cid, outside, heard %v", got)
	}

	w.send("ann", Request{Type: TypeWhisper, Nick: "Cid", Text: "psst"})
	for who, want := range map[string]int{"ann": 1, "cid": 1, "bob": 0} {
		if got := pick(w.take(who), "whisper"); len(got) != want {
			t.Errorf("%s heard the whispers %v, want %d", who, got, want)
		}
	}

	w.send("bob", Request{Type: TypeLeave, Room: "bay"})
	w.send("bob", Request{Type: TypeSay, Room: "bay", Text: "still here"})
	if got := w.code("bob"); got != CodeNotMember {
		t.Errorf("talking after leaving: %q", got)
	}
}

// TestMembers follows who ann believes to be in the room.
func TestMembers(t *testing.T) {
	w := newWorld(t)
	var all []map[string]any
	check := func(doing string, want map[string]bool) {
		t.Helper()
		all = append(all, w.take("ann")...)
		if got := view(all, "bay"); !maps.Equal(got, want) {
			t.Errorf("%s: ann sees %v, want %v", doing, got, want)
		}
	}
	w.enter("ann", "bay")
	check("alone", map[string]bool{"ann": true})
	w.enter("bob", "bay")
	w.enter("cid", "bay")
	check("two join", map[string]bool{"ann": true, "bob": false, "cid": false})
	if got := view(w.take("cid"), "bay"); len(got) != 3 {
		t.Errorf("the latecomer sees %v", got)
	}
	w.vanish("cid")
	check("cid vanishes", map[string]bool{"ann": true, "bob": false})
	w.send("bob", Request{Type: TypeLeave, Room: "bay"})
	check("bob leaves", map[string]bool{"ann": true})
	w.send("bob", Request{Type: TypeJoin, Room: "bay"})
	w.send("ann", Request{Type: TypeLeave, Room: "bay"})
	check("ann leaves", nil)
	if got := view(w.take("bob"), "bay"); !maps.Equal(got, map[string]bool{"bob": true}) {
		t.Errorf("the host left: bob sees %v and should be host", got)
	}
	w.send("ann", Request{Type: TypeJoin, Room: "bay"})
	check("ann is back", map[string]bool{"ann": false, "bob": true})
	w.vanish("bob")
	check("the host vanishes", map[string]bool{"ann": true})
}

func TestRooms(t *testing.T) {
	w := newWorld(t)
	w.enter("ann", "bay", "sea")
	w.enter("bob", "bay")
	w.enter("cid")
	list := pick(w.take("cid"), "rooms")
	if len(list) != 1 {
		t.Fatalf("cid was sent %d lists", len(list))
	}
	if got := fmt.Sprint(list[0]["rooms"]); got != "[map[members:2 room:bay] map[members:1 room:sea]]" {
		t.Errorf("rooms: %s", got)
	}
	last := func(room string) any {
		var n any
		for _, m := range pick(w.take("cid"), "count") {
			if m["room"] == room {
				n = m["members"]
			}
		}
		return n
	}
	w.send("bob", Request{Type: TypeJoin, Room: "sea"})
	if got := last("sea"); got != 2.0 {
		t.Errorf("after a join sea has %v members", got)
	}
	w.vanish("ann")
	w.send("bob", Request{Type: TypeLeave, Room: "sea"})
	if got := last("sea"); got != 0.0 {
		t.Errorf("after all left sea has %v members", got)
	}
	w.send("cid", Request{Type: TypeRooms})
	list = pick(w.take("cid"), "rooms")
	if got := fmt.Sprint(list[0]["rooms"]); got != "[map[members:1 room:bay]]" {
		t.Errorf("rooms at the end: %s", got)
	}
}

func TestKick(t *testing.T) {
	w := newWorld(t)
	w.enter("ann", "bay")
	w.enter("bob", "bay", "sea")
	w.enter("cid", "sea")
	w.takeAll()
	bob := w.bus.conns["bob"]
	w.send("ann", Request{Type: TypeKick, Room: "bay", Nick: "bob"})
	if _, online := w.bus.conns["bob"]; online {
		t.Fatal("bob is online after the kick")
	}
	last := bob.inbox[len(bob.inbox)-1]
	if last["type"] != "offline" || last["reason"] != ReasonKicked || last["by"] != "ann" || last["room"] != "bay" {
		t.Errorf("bob was told %v", last)
	}
	got := w.take("ann")
	if k := pick(got, "kicked"); len(k) != 1 || k[0]["nick"] != "bob" {
		t.Errorf("the room was told %v", got)
	}
	if p := pick(got, "presence"); len(p) != 1 || p[0]["in"] != false {
		t.Errorf("the room was told %v", got)
	}
	if p := pick(w.take("cid"), "presence"); len(p) == 0 || p[0]["in"] != false || p[0]["nick"] != "bob" {
		t.Errorf("bob's other room was told %v", p)
	}
}

// TestTakeBack: a client that lost its network comes back before the gateway
// has noticed.
func TestTakeBack(t *testing.T) {
	w := newWorld(t)
	w.enter("eve", "bay")
	w.open("old")
	w.send("old", Request{Type: TypeNick, Nick: "ann", Key: key})
	w.send("old", Request{Type: TypeJoin, Room: "bay"})
	old := w.bus.conns["old"]
	w.open("young")
	w.send("young", Request{Type: TypeNick, Nick: "ann", Key: key})
	if got := pick(w.take("young"), "welcome"); len(got) != 1 {
		t.Fatalf("ann was not let back in: %v", got)
	}
	if last := old.inbox[len(old.inbox)-1]; last["reason"] != ReasonReplaced {
		t.Errorf("the old connection was told %v", last)
	}
	w.send("young", Request{Type: TypeJoin, Room: "bay"})
	if got := view(w.take("eve"), "bay"); !maps.Equal(got, map[string]bool{"eve": true, "ann": false}) {
		t.Errorf("eve sees %v", got)
	}
}

// TestNickRace lets somebody else ask for the same nickname between any two
// steps of a client, as another process would. Never do both get it, and
// whoever has it is the only one.
func TestNickRace(t *testing.T) {
	for at := 1; ; at++ {
		w := newWorld(t)
		w.open("a")
		w.open("b")
		steps, raced := 0, false
		w.bus.step = func() {
			if steps++; steps == at {
				raced = true
				w.send("b", Request{Type: TypeNick, Nick: "ann", Key: key})
			}
		}
		w.send("a", Request{Type: TypeNick, Nick: "ann", Key: key[1:] + "z"})
		if !raced {
			if at < 5 {
				t.Errorf("only %d steps", at)
			}
			return
		}
		var holders []string
		for _, id := range []string{"a", "b"} {
			msgs := w.take(id)
			switch {
			case len(pick(msgs, "welcome")) == 1 && len(pick(msgs, "error")) == 0:
				holders = append(holders, id)
			case len(pick(msgs, "error")) == 1 && len(pick(msgs, "welcome")) == 0:
				if i := w.bus.conns[id].info; i.CustomerID != "" || i.Session != "" {
					t.Errorf("step %d: %s was refused and holds %v", at, id, i)
				}
			default:
				t.Errorf("step %d: %s was told %v", at, id, msgs)
			}
		}
		if len(holders) > 1 {
			t.Errorf("step %d: both are called ann", at)
		}
	}
}

// TestClaimHearsNothing: a nickname that is claimed and not yet granted gets no
// whisper.
func TestClaimHearsNothing(t *testing.T) {
	w := newWorld(t)
	w.enter("bob")
	w.open("eve")
	w.bus.conns["eve"].info.CustomerID = "ann"
	w.takeAll()
	w.send("bob", Request{Type: TypeWhisper, Nick: "ann", Text: "psst"})
	if got := w.code("bob"); got != CodeNoSuch {
		t.Errorf("got %q", got)
	}
	if got := w.take("eve"); len(got) > 0 {
		t.Errorf("eve heard %v", got)
	}
}

// TestPresenceRace lets a second client act between any two steps of a first
// one. Whatever the order, every page in the room must end up seeing who is
// there.
func TestPresenceRace(t *testing.T) {
	join, leave := Request{Type: TypeJoin, Room: "bay"}, Request{Type: TypeLeave, Room: "bay"}
	for _, tt := range []struct {
		name          string
		inside        []string // besides eve, who watches
		first, second func(w *world)
	}{
		{"both join", nil,
			func(w *world) { w.send("ann", join) }, func(w *world) { w.send("bob", join) }},
		{"join, leave", []string{"bob"},
			func(w *world) { w.send("ann", join) }, func(w *world) { w.send("bob", leave) }},
		{"join, vanish", []string{"bob"},
			func(w *world) { w.send("ann", join) }, func(w *world) { w.vanish("bob") }},
		{"leave, join", []string{"ann"},
			func(w *world) { w.send("ann", leave) }, func(w *world) { w.send("bob", join) }},
		{"the host vanishes, another leaves", []string{"ann", "bob"},
			func(w *world) { w.vanish("eve") }, func(w *world) { w.send("ann", leave) }},
		{"vanish, come back", []string{"ann"},
			func(w *world) { w.vanish("ann") }, func(w *world) { w.open("ann2"); w.nick("ann2", "ann"); w.send("ann2", join) }},
		{"kick, leave", []string{"ann", "bob"},
			func(w *world) { w.send("eve", Request{Type: TypeKick, Room: "bay", Nick: "ann"}) },
			func(w *world) { w.send("bob", leave) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for at := 1; ; at++ {
				w := newWorld(t)
				w.enter("eve", "bay")
				w.enter("ann")
				w.enter("bob")
				w.enter("zoe", "bay")
				for _, n := range tt.inside {
					w.send(n, join)
				}
				steps, raced := 0, false
				w.bus.step = func() {
					if steps++; steps == at {
						raced = true
						tt.second(w)
					}
				}
				tt.first(w)
				if !raced {
					return
				}
				w.bus.step = nil
				truth, _ := members(t.Context(), w.bus, "bay")
				want := map[string]bool{}
				for _, m := range truth {
					want[m.Nick] = m.Host
				}
				if !slices.Contains(slices.Collect(maps.Values(want)), true) {
					t.Errorf("step %d: the room has no host: %v", at, want)
				}
				for _, id := range slices.Sorted(maps.Keys(w.bus.conns)) {
					if !in(w.bus.conns[id].info.Topics, "bay") {
						continue
					}
					msgs := w.take(id)
					if got := view(msgs, "bay"); !maps.Equal(got, want) {
						t.Errorf("step %d: %s sees %v, the room has %v", at, id, got, want)
					}
				}
			}
		})
	}
}

func (w *world) nick(uniqID, nick string) {
	w.send(uniqID, Request{Type: TypeNick, Nick: nick})
}

// TestFailure: what is not the client's fault is said to be so.
func TestFailure(t *testing.T) {
	w := newWorld(t)
	w.open("ann")
	w.h.Message(t.Context(), stopped{w.bus}, hooks.MessageEvent{
		UniqID: "ann", CustomerID: "ann", Session: key, Data: []byte(`{"type":"rooms"}`),
	})
	if got := w.code("ann"); got != CodeFailed {
		t.Errorf("got %q", got)
	}
}
