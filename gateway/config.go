package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"runtime/debug"
	"time"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/clock"
	"github.com/sluicegate/sluice/protocol"
	"github.com/sluicegate/sluice/registry"
	"github.com/sluicegate/sluice/transport"
)

// Config says how to build a Gateway. Only Transports must be set; the zero
// value of every other field is a safe default. New keeps the slices, which must
// not be changed afterwards. Sizes and numbers that are negative are an error.
type Config struct {
	// Transports accept the clients. There must be at least one, and each
	// belongs to one gateway. Package transport/gnet has the default one.
	Transports []transport.Transport
	// Path is the request path at which clients connect, for example "/ws";
	// others are answered with 404. Empty means any path.
	Path string
	// Origins are the web origins whose pages may connect, written as
	// browsers send them: "https://example.com". They are compared whole,
	// without regard to case. Empty means the gateway's own origin only, by
	// the request's Host; "*" means any. Others are answered with 403. Clients
	// that are not browsers send no origin and are not held up (RFC 6455 section
	// 10.2). [Gateway.SetOrigins] changes them.
	Origins []string
	// Subprotocols are those that the gateway speaks, the preferred first:
	// a client gets the first that it offers too (RFC 6455 section 1.9).
	// Empty means none.
	Subprotocols []string
	// TrustedProxies are the networks of HTTP proxies that are believed what
	// they say of clients. If a connection comes from there, the client's
	// address is the last in X-Forwarded-For that is not in these networks
	// too, or the first if all are; without that header it is X-Real-IP.
	// Proxies that set only X-Real-IP must drop an X-Forwarded-For that they
	// get. Nil believes nobody: the client is whoever has connected.
	TrustedProxies []netip.Prefix
	// ProxyProtocol are the networks of proxies that begin each connection
	// with a header of the PROXY protocol, version 2 (HAProxy's
	// proxy-protocol.txt, section 2.2), within HandshakeTimeout. A connection
	// from there without one is cut; from elsewhere none is read. The
	// address in it takes the place of the connection's own, to which
	// TrustedProxies then applies. A transport mounted in an HTTP server,
	// which reads its connections itself, makes Run fail. Nil means that
	// there are none.
	ProxyProtocol []netip.Prefix

	// Router is the business code. Nil ignores what clients do, which is
	// enough to push to them.
	Router hooks.Router
	// Inline calls the Router on the event loops instead of on workers. It
	// saves a change of goroutine per message; in return the Router must
	// never block, as all clients of a loop would wait. It must pass the ctx
	// that it is given to the Bus, whose commands then do not wait for room
	// but fail with hooks.ErrOverloaded.
	Inline bool
	// Hooks take part in what their types say: each must implement one or
	// more of hooks.Authenticator, Admitter, HandshakeShaper, DropObserver,
	// GapTeller, CloseObserver, HandlerObserver, Runner, Forwarder and NodeNamer.
	// The Router is looked at as if it were listed here first, so that one which
	// needs to run, or knows the gateway's node, does so by itself.
	Hooks []any
	// Limiter refuses what is too much. Nil admits everything.
	Limiter hooks.Limiter
	// Cluster joins this gateway with others. Nil means that it is on its own.
	Cluster hooks.Cluster
	// Registry keeps the clients. Nil means registry.NewMemory().
	Registry registry.Registry

	// Node is the first six bytes of every uniqId: the IPv4 address and port
	// at which business processes reach this gateway, or any other number
	// that no other gateway has. Zero means what a hooks.NodeNamer says,
	// or without one a random number.
	Node protocol.Node
	// Binary sends messages to clients as binary frames. False means text,
	// and then data must be UTF-8, as browsers end the connection otherwise.
	Binary bool
	// Compression is the level, 1 (fast) to 9 (small), at which messages are
	// compressed for clients that offer permessage-deflate (RFC 7692). Zero
	// means off, in both directions.
	Compression int
	// CompressionMin is the size from which messages are compressed, in
	// bytes. Zero means 256.
	CompressionMin int

	// HeartbeatInterval is how long a client may be silent before it is
	// closed with code 1001. Anything that it sends counts. The gateway
	// sends no pings, and pages cannot: one that only listens must send the
	// HeartbeatMessage now and then. Zero means 120 seconds, negative for
	// ever.
	HeartbeatInterval time.Duration
	// HeartbeatMessage is a text message that only shows that the client is
	// alive; the Router does not see it, and it is not answered. Empty means
	// the protocol's default, protocol.DefaultHeartbeat.
	HeartbeatMessage string
	// HandshakeTimeout bounds the time from connecting to the end of the
	// handshake, an Authenticator's time included. Zero means 10 seconds.
	HandshakeTimeout time.Duration

	// MaxHeader bounds the head of a handshake request, in bytes. Zero means
	// 16 KiB.
	MaxHeader int
	// MaxMessage bounds one message from a client, all its fragments
	// together and after inflating, in bytes; a larger one closes the client
	// with code 1009. Zero means 1 MiB.
	MaxMessage int
	// WriteLimit bounds what may wait for a client that does not read, in
	// bytes, each message counting 16 more. One write's worth lies beneath it
	// in the transport. Zero means 1 MiB.
	WriteLimit int
	// Slow says what becomes of a client that would pass WriteLimit. Zero
	// means transport.SlowClose: it is closed with code 1013, "slow consumer".
	// With the others, messages are dropped instead, and a client learns of it
	// if a hooks.GapTeller says so.
	Slow transport.SlowPolicy
	// StallTimeout is how long a client may take nothing of what waits for it
	// before it is closed with code 1013, whatever Slow says. Zero means 30
	// seconds, negative for ever.
	StallTimeout time.Duration
	// InboxLimit bounds what a client has sent and the Router has not yet
	// begun with, in bytes, each message counting 64 more; passing it closes
	// the client with code 1013, "inbox full". One message is always taken.
	// With Inline it only bounds what waits for Admitters. Zero means 1 MiB.
	InboxLimit int
	// MemoryBudget bounds what all clients together make the gateway hold, in
	// bytes: parts of requests and messages, and all that waits in either
	// direction, each client's first 4 KiB aside. A message that waits for
	// many is counted for each of them, though it is held once. While it is
	// passed, clients that hold more than their share are closed with code
	// 1013, "memory budget", and handshakes are answered with 503. Zero means
	// half of Go's memory limit (GOMEMLIMIT), or 1 GiB if there is none.
	MemoryBudget int
	// MaxTopics is how many topics a client may subscribe to. A command that
	// would pass it changes nothing and returns hooks.ErrTooMany, as with the
	// next two. Zero means 4,096.
	MaxTopics int
	// MaxName bounds a customer id and the name of a topic, in bytes. Zero
	// means 1 KiB.
	MaxName int
	// MaxSession bounds a session, in bytes. Zero means 64 KiB.
	MaxSession int
	// MailboxLimit bounds what waits for one event loop, in bytes, each
	// command counting 128 more; commands wait for room as long as their
	// context allows, up to OverloadWait. Zero means 16 MiB.
	MailboxLimit int
	// OverloadWait is how long a command waits at most for an overloaded
	// loop before its message is dropped for that loop's clients and it
	// returns hooks.ErrOverloaded. Zero means 5 seconds.
	OverloadWait time.Duration
	// Workers bounds the Router calls that run at the same time. A call that
	// blocks occupies one, so it should exceed the number of clients whose
	// calls may block at once. Zero means 1,024.
	Workers int
	// StuckAfter is how long a call of the Router, an Authenticator or an
	// Admitter may take, or something hold up an event loop, before it is
	// reported: in the log, with its stack, and in Stats. It is not ended, as Go
	// has no means for that. Zero means 30 seconds, negative never.
	StuckAfter time.Duration
	// DrainTime is the time over which Run, when its context ends, and Drain
	// spread the closes of the clients; fewer than 1,000 a second take less. A
	// client for whom something waits gets that first, for half as long again.
	// Zero means 10 seconds, negative closes all at once.
	DrainTime time.Duration
	// RetryAfter is when clients that are sent away by a drain or turned away
	// for lack of room are told to come back: a random time between this and
	// twice as long, in whole seconds. Zero means 1 second.
	RetryAfter time.Duration
	// StopTimeout is how long Run waits, when it stops, for Router calls to
	// return, before it cancels their contexts, and then again before it
	// gives up. Zero means 5 seconds.
	StopTimeout time.Duration

	// Metrics are the items that hooks.Bus.Metrics answers with. Nil means
	// all of them, an empty list none.
	Metrics []hooks.MetricItem
	// Clock is the time that the gateway goes by: in uniqIds and rates, for
	// delayed commands, and for the time that Authenticators have. Transports
	// keep the time of their connections; OverloadWait, StuckAfter and
	// StopTimeout, which guard against code that hangs, and DrainTime are the
	// system's time. Nil means the
	// system's clock.
	Clock hooks.Clock
	// Logger gets the gateway's log. Nil means slog.Default().
	Logger *slog.Logger
}

// closeTimeout keeps the promise that a socket closes within 2 seconds even if
// its client never answers the close frame, with a margin for the resolution
// of the loops' timers.
const closeTimeout = 1500 * time.Millisecond

func (c Config) withDefaults() (Config, error) {
	if len(c.Transports) == 0 {
		return c, errors.New("gateway: Config.Transports is empty; add at least one, for example gnet.Listen(\"127.0.0.1:6060\")")
	}
	if c.Compression < 0 || c.Compression > 9 {
		return c, fmt.Errorf("gateway: Config.Compression is %d; use 0 for off or 1 to 9", c.Compression)
	}
	if c.Path != "" && c.Path[0] != '/' {
		return c, fmt.Errorf("gateway: Config.Path is %q; it must begin with a slash or be empty", c.Path)
	}
	for name, v := range map[string]*int{
		"CompressionMin": &c.CompressionMin, "MaxHeader": &c.MaxHeader, "MaxMessage": &c.MaxMessage,
		"WriteLimit": &c.WriteLimit, "InboxLimit": &c.InboxLimit, "MailboxLimit": &c.MailboxLimit, "Workers": &c.Workers,
		"MemoryBudget": &c.MemoryBudget, "MaxTopics": &c.MaxTopics, "MaxName": &c.MaxName, "MaxSession": &c.MaxSession,
	} {
		if *v < 0 {
			return c, fmt.Errorf("gateway: Config.%s is %d; use 0 for the default or a positive number", name, *v)
		}
	}
	if err := checkOrigins("Config.Origins", c.Origins); err != nil {
		return c, err
	}
	if c.RetryAfter < 0 {
		return c, fmt.Errorf("gateway: Config.RetryAfter is %v; use 0 for the default or a positive time", c.RetryAfter)
	}
	var err error
	if c.TrustedProxies, err = newProxies("TrustedProxies", c.TrustedProxies); err != nil {
		return c, err
	}
	if c.ProxyProtocol, err = newProxies("ProxyProtocol", c.ProxyProtocol); err != nil {
		return c, err
	}
	or(&c.CompressionMin, 256)
	or(&c.MaxHeader, 16<<10)
	or(&c.MaxMessage, 1<<20)
	or(&c.WriteLimit, 1<<20)
	or(&c.InboxLimit, 1<<20)
	or(&c.MailboxLimit, 16<<20)
	or(&c.MemoryBudget, defaultBudget())
	or(&c.MaxTopics, 4096)
	or(&c.MaxName, 1<<10)
	or(&c.MaxSession, 64<<10)
	or(&c.StallTimeout, 30*time.Second)
	or(&c.Workers, 1024)
	or(&c.HeartbeatInterval, 120*time.Second)
	or(&c.HeartbeatMessage, protocol.DefaultHeartbeat)
	or(&c.HandshakeTimeout, 10*time.Second)
	or(&c.OverloadWait, 5*time.Second)
	or(&c.StuckAfter, 30*time.Second)
	or(&c.DrainTime, 10*time.Second)
	or(&c.RetryAfter, time.Second)
	or(&c.StopTimeout, 5*time.Second)
	if c.Slow > transport.SlowLatest {
		return c, fmt.Errorf("gateway: Config.Slow is %d; use one of the policies of package transport, for example transport.SlowDropOldest", c.Slow)
	}
	for _, m := range c.Metrics {
		if m < 1 || m > hooks.MetricItems {
			return c, fmt.Errorf("gateway: Config.Metrics has item %d; items are numbered 1 to %d", m, hooks.MetricItems)
		}
	}
	if c.Router == nil {
		c.Router = hooks.RouterFuncs{}
	}
	if c.Registry == nil {
		c.Registry = registry.NewMemory()
	}
	if c.Clock == nil {
		c.Clock = clock.System{}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c, nil
}

// defaultBudget is half of what Go may use, so that there is room for all that is
// not counted.
func defaultBudget() int {
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		return int(max(1, limit/2))
	}
	return 1 << 30
}

// or gives v a default.
func or[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

func (c *Config) transportOptions() transport.Options {
	return transport.Options{
		Path: c.Path, Subprotocols: c.Subprotocols, Compression: c.Compression != 0,
		ProxyProtocol: c.ProxyProtocol,
		MaxHeader:     c.MaxHeader, MaxMessage: c.MaxMessage, WriteLimit: c.WriteLimit, MailboxLimit: c.MailboxLimit,
		Slow: c.Slow, StallTimeout: max(0, c.StallTimeout),
		HandshakeTimeout: c.HandshakeTimeout, IdleTimeout: max(0, c.HeartbeatInterval), CloseTimeout: closeTimeout,
		Logger: c.Logger,
	}
}
