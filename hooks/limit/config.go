package limit

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/sluicegate/sluice/hooks"
)

// Config says what a Limiter keeps clients within. The zero value of each limit
// is none; negative values are errors.
type Config struct {
	// OnOpen is how many clients may connect per second, and at once. A
	// handshake above it is answered with 429. Zero means no limit.
	OnOpen int
	// OnMessage is how many messages all clients together may send per
	// second, and at once. For those above it, see MessageExceeded. Zero
	// means no limit.
	OnMessage int
	// MaxClients is how many clients there may be, handshakes included. One
	// above it is answered with 503. Zero means no limit.
	MaxClients int
	// MessageExceeded closes a client whose message is above OnMessage,
	// which is dropped and counted all the same. Nil means that it is only
	// dropped and counted. It must not be changed afterwards.
	MessageExceeded *hooks.Disconnect

	// ClientMessages is how many messages one client may send in each
	// window. For those above it, see ClientExceeded. Zero means no limit.
	ClientMessages int
	// ClientWindow is the length of a window. Zero means 1 second.
	ClientWindow time.Duration
	// ClientFirst is what a client may send in its first window, instead of
	// ClientMessages: pages often begin with a flurry. Zero means as in any
	// other.
	ClientFirst int
	// ClientExceeded closes a client that sends a message above
	// ClientMessages, which is dropped and counted all the same. Nil means
	// that it is only dropped and counted. It must not be changed afterwards.
	ClientExceeded *hooks.Disconnect

	// IPClients is how many clients one address may have at a time,
	// handshakes included. One above it is answered with 429. Behind a proxy
	// all clients have the proxy's address. Zero means no limit.
	IPClients int
	// IPOpens is how many clients may connect from one address per second,
	// and at once. A handshake above it is answered with 429. Zero means no
	// limit.
	IPOpens int
	// IPv6Prefix is how many leading bits of an IPv6 address count as the
	// address, 1 to 128, as whoever has one mostly has a whole network of
	// them. Zero means 64. An IPv4 address counts whole, and a peer without an
	// address has no limits by address.
	IPv6Prefix int
	// Exempt are addresses that IPClients and IPOpens do not hold for, such as
	// those of a load balancer's health checks. It is copied. Nil means none.
	Exempt []netip.Prefix

	// Adjustable has clients counted by address even while IPClients is zero, so
	// that [Limiter.Adjust] can set it. That takes some 50 bytes for each
	// address that has clients. False means that only a Limiter made with
	// IPClients counts them.
	Adjustable bool

	// RetryAfter is when a client whose handshake is refused is told to come
	// back, rounded up to whole seconds (RFC 9110 section 10.2.3). A bucket
	// has room for another one after a second at the latest; where many wait,
	// a longer time spreads them. Zero means 1 second.
	RetryAfter time.Duration

	// Now returns the time, and may be called on any goroutine. A test has
	// it be that of the gateway's Clock. Nil means time.Now.
	Now func() time.Time
}

func (c Config) check() error {
	for name, v := range map[string]int64{
		"OnOpen": int64(c.OnOpen), "OnMessage": int64(c.OnMessage), "MaxClients": int64(c.MaxClients),
		"ClientMessages": int64(c.ClientMessages), "ClientWindow": int64(c.ClientWindow), "ClientFirst": int64(c.ClientFirst),
		"IPClients": int64(c.IPClients), "IPOpens": int64(c.IPOpens),
	} {
		if v < 0 {
			return fmt.Errorf("limit: Config.%s is negative; use 0 for no limit or a positive value", name)
		}
	}
	if c.ClientFirst > 0 && c.ClientMessages == 0 {
		return errors.New("limit: Config.ClientFirst is set without ClientMessages, the limit that it makes an exception of")
	}
	if c.ClientExceeded != nil && c.ClientMessages == 0 {
		return errors.New("limit: Config.ClientExceeded is set without ClientMessages, the limit that it is about")
	}
	if c.RetryAfter < 0 {
		return errors.New("limit: Config.RetryAfter is negative; use 0 for 1 second or a positive duration")
	}
	if c.IPv6Prefix < 0 || c.IPv6Prefix > 128 {
		return fmt.Errorf("limit: Config.IPv6Prefix is %d; use 0 for 64 or a number of bits from 1 to 128", c.IPv6Prefix)
	}
	for i, p := range c.Exempt {
		if !p.IsValid() {
			return fmt.Errorf("limit: Config.Exempt[%d] is the zero Prefix; use netip.ParsePrefix or netip.PrefixFrom to make one", i)
		}
		if p.Addr().Is4In6() {
			return fmt.Errorf("limit: Config.Exempt[%d] is %s, an IPv4 address in IPv6 form; write it in IPv4 form", i, p)
		}
	}
	return nil
}

func (c Config) withDefaults() Config {
	if c.ClientWindow == 0 {
		c.ClientWindow = time.Second
	}
	if c.ClientFirst == 0 {
		c.ClientFirst = c.ClientMessages
	}
	if c.IPv6Prefix == 0 {
		c.IPv6Prefix = 64
	}
	if c.RetryAfter == 0 {
		c.RetryAfter = time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Exempt = slices.Clone(c.Exempt)
	return c
}
