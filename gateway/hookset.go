package gateway

import (
	"fmt"
	"reflect"

	"github.com/sluicegate/sluice/hooks"
)

// hookSet is the hooks of a Config, sorted by what they implement.
type hookSet struct {
	authenticators []hooks.Authenticator
	admitters      []hooks.Admitter
	shapers        []hooks.HandshakeShaper
	drops          []hooks.DropObserver
	gaps           []hooks.GapTeller
	closes         []closeObserver
	handlers       []hooks.HandlerObserver
	runners        []hooks.Runner
	forwarders     []hooks.Forwarder
	nodes          []hooks.NodeNamer
}

// closeObserver is a CloseObserver and, if it is an Admitter too, its place
// among those.
type closeObserver struct {
	hooks.CloseObserver
	admitter int // -1 if it is none
}

func sortHooks(router hooks.Router, all []any) (s hookSet, err error) {
	s.add(router)
	for i, h := range all {
		if same(router, h) {
			continue
		}
		if !s.add(h) {
			return s, fmt.Errorf("gateway: Config.Hooks[%d] is a %T, which implements none of hooks.Authenticator, Admitter, "+
				"HandshakeShaper, DropObserver, GapTeller, CloseObserver, HandlerObserver, Runner, Forwarder and NodeNamer; "+
				"is a method missing, or on the pointer type?", i, h)
		}
	}
	return s, nil
}

// same reports whether a host has listed its Router among its hooks, which it
// need not do.
func same(router hooks.Router, hook any) bool {
	return hook != nil && reflect.TypeOf(hook).Comparable() && any(router) == hook
}

// add sorts h in. It returns false if there is no place for it.
func (s *hookSet) add(h any) bool {
	found := take(&s.authenticators, h)
	found = take(&s.admitters, h) || found
	found = take(&s.shapers, h) || found
	found = take(&s.drops, h) || found
	found = take(&s.gaps, h) || found
	if o, ok := h.(hooks.CloseObserver); ok {
		found = true
		at := -1
		if _, ok := h.(hooks.Admitter); ok {
			at = len(s.admitters) - 1
		}
		s.closes = append(s.closes, closeObserver{o, at})
	}
	found = take(&s.handlers, h) || found
	found = take(&s.runners, h) || found
	found = take(&s.forwarders, h) || found
	return take(&s.nodes, h) || found
}

func take[T any](list *[]T, h any) bool {
	v, ok := h.(T)
	if ok {
		*list = append(*list, v)
	}
	return ok
}
