package hooks

import (
	"context"
	"sync"
)

// ByClient returns a Router that hands all events of a client to the Router
// that choose named when it opened. A nil choice ignores the client. choose is
// called where Open is; it can go by path, query, address or anything else.
// Events of a client whose Open it has not seen are ignored.
//
//	Router: hooks.ByClient(func(e hooks.OpenEvent) hooks.Router {
//		if strings.HasPrefix(e.Path, "/internal/") {
//			return inProcess
//		}
//		return remote
//	})
//
// A Router that is a hook besides, like hooks/remote's, must then be among the
// gateway's hooks, as the gateway cannot see it.
func ByClient(choose func(e OpenEvent) Router) Router {
	return &byClient{choose: choose}
}

type byClient struct {
	choose func(OpenEvent) Router
	chosen sync.Map // uniqId to Router
}

// Open implements Router.
func (b *byClient) Open(ctx context.Context, bus Bus, e OpenEvent) {
	if r := b.choose(e); r != nil {
		b.chosen.Store(e.UniqID, r)
		r.Open(ctx, bus, e)
	}
}

// Message implements Router.
func (b *byClient) Message(ctx context.Context, bus Bus, e MessageEvent) {
	if r, ok := b.chosen.Load(e.UniqID); ok {
		r.(Router).Message(ctx, bus, e)
	}
}

// Close implements Router.
func (b *byClient) Close(ctx context.Context, bus Bus, e CloseEvent) {
	if r, ok := b.chosen.LoadAndDelete(e.UniqID); ok {
		r.(Router).Close(ctx, bus, e)
	}
}

// ByMessage returns a Router that hands each message to the Router that choose
// names for it, going by its first bytes or anything else, and opens and
// closes to others. A nil choice ignores the message. To have each Router hear
// of all clients, let others be a Tee of them:
//
//	Router: hooks.ByMessage(func(e hooks.MessageEvent) hooks.Router {
//		if bytes.HasPrefix(e.Data, []byte("chat:")) {
//			return inProcess
//		}
//		return remote
//	}, hooks.Tee(inProcess, remote))
//
// choose is called where Message is, and must not change e.Data or keep it.
// others must not be nil; a RouterFuncs{} ignores opens and closes. As with
// [ByClient], a Router that is a hook besides must be among the gateway's hooks.
func ByMessage(choose func(e MessageEvent) Router, others Router) Router {
	return RouterFuncs{
		OnOpen: others.Open,
		OnMessage: func(ctx context.Context, bus Bus, e MessageEvent) {
			if r := choose(e); r != nil {
				r.Message(ctx, bus, e)
			}
		},
		OnClose: others.Close,
	}
}

// Tee returns a Router that hands each event to all of rs, one after the other,
// in this order. If one panics, those after it do not get the event. As with
// [ByClient], a Router that is a hook besides must be among the gateway's hooks.
func Tee(rs ...Router) Router {
	return RouterFuncs{
		OnOpen: func(ctx context.Context, bus Bus, e OpenEvent) {
			for _, r := range rs {
				r.Open(ctx, bus, e)
			}
		},
		OnMessage: func(ctx context.Context, bus Bus, e MessageEvent) {
			for _, r := range rs {
				r.Message(ctx, bus, e)
			}
		},
		OnClose: func(ctx context.Context, bus Bus, e CloseEvent) {
			for _, r := range rs {
				r.Close(ctx, bus, e)
			}
		},
	}
}
