//go:build darwin || freebsd || linux

package evio

import (
	engine "github.com/tidwall/evio"
)

// events are the engine's view of a server. None returns output, for which the
// engine's handling is not fit, and none returns Close and later anything else:
// the engine would forget to close and spin on the writable socket.
func (s *server) events() engine.Events {
	return engine.Events{
		NumLoops: len(s.loops),
		// Whichever loop is free accepts. With the other ways, those whose
		// turn it is not spin until the one whose turn it is does.
		LoadBalance: engine.Random,
		Serving: func(e engine.Server) engine.Action {
			s.serving <- e.Addrs
			return engine.None
		},
		Opened: func(c engine.Conn) ([]byte, engine.Options, engine.Action) {
			return nil, engine.Options{ReuseInputBuffer: true}, s.opened(c)
		},
		Data:   func(c engine.Conn, in []byte) ([]byte, engine.Action) { return nil, s.data(c, in) },
		Closed: func(c engine.Conn, _ error) engine.Action { return s.closed(c) },
	}
}

func (s *server) opened(c engine.Conn) engine.Action {
	fd, index, err := s.inner.of(c)
	if err != nil {
		s.fail(err)
		if c.AddrIndex() == bellsIndex {
			return engine.Shutdown
		}
		return engine.Close // it may be too early for the other
	}
	l := s.loops[index]
	switch {
	case c.AddrIndex() == bellsIndex:
		if !s.visit(c, l) {
			return engine.Close
		}
		c.SetContext(l)
		return engine.None
	case fd >= s.cap:
		// Descriptors are handed out from the lowest, so those below are
		// taken. The engine would end if accepting failed for want of one.
		s.turnAway()
		return engine.Close
	case s.stopping.Load():
		return engine.Close
	}
	c.SetContext(l.attach(c, fd))
	return engine.None
}

func (s *server) data(c engine.Conn, in []byte) engine.Action {
	switch x := c.Context().(type) {
	case *eventLoop:
		return x.answer()
	case *socket:
		if !x.cut {
			x.conn.Input(in)
		}
		if !x.cut {
			return engine.None
		}
	}
	return engine.Close
}

// closed also comes for connections that were never opened: on the goroutine
// that the engine was started on, when its loops have ended.
func (s *server) closed(c engine.Conn) engine.Action {
	switch x := c.Context().(type) {
	case *eventLoop:
		// The engine ends, and will soon close its listeners; or this loop
		// cannot be reached any more, and the engine has to.
		s.floor.release()
		return engine.Shutdown
	case *socket:
		x.closed()
	}
	return engine.None
}
