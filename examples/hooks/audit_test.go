package main

import (
	"reflect"
	"strings"
	"testing"
)

func TestAudit(t *testing.T) {
	h := newHost(t)
	ann := h.Connect(h.target("Ann"))
	id := ann.ID()
	ann.Send("a secret")
	ann.Read()
	if _, err := h.TryConnect("/ws?token=wrong"); err == nil {
		t.Error("let in with a wrong token")
	}
	for range 9 { // and with the two above, more than may come at once
		_, _ = h.TryConnect("/ws?token=wrong")
	}
	ann.Close()
	h.Settle()

	refused := func(reason string) map[string]any {
		return map[string]any{"level": "WARN", "msg": "refused", "addr": "127.0.0.1", "reason": reason}
	}
	want := []map[string]any{{"level": "INFO", "msg": "came", "uniqId": id, "name": "Ann", "addr": "127.0.0.1"}}
	for range 9 {
		want = append(want, refused(errForged.Error()))
	}
	want = append(want,
		refused("too many clients at once from this address"),
		map[string]any{"level": "INFO", "msg": "left", "uniqId": id, "name": "Ann", "code": 1000.0})
	if got := h.trail.all(t); !reflect.DeepEqual(got, want) {
		t.Errorf("the trail is\n%s\nwant %v", h.trail.text(), want)
	}
	if s := h.trail.text(); strings.Contains(s, "secret") || strings.Contains(s, "wrong") || strings.Contains(s, h.target("Ann")[len("/ws?token="):]) {
		t.Errorf("the trail tells too much:\n%s", s)
	}
}
