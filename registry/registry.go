// Package registry knows who is connected: clients by uniqId, the customers
// they belong to, their sessions and the topics they subscribe to.
//
// Changes take effect before a method returns, for every caller. Delivery
// does not look anything up: whoever sends to many takes an [Audience] for each
// loop, a list of recipients that later changes do not touch, and hands it to
// that loop. Taking one copies nothing and costs the same for ten clients and
// for a million.
//
// [NewMemory] is the default, and hosts seldom name it. One that wants to see or
// refuse changes wraps it:
//
//	type audited struct{ *registry.Memory }
//
//	func (a audited) Add(c *registry.Client, e registry.Entry) error { … }
//
//	gateway.Config{Registry: audited{registry.NewMemory()}}
//
// A [Registry] from scratch is not possible outside this package, as only Memory
// can write into a [Client].
package registry

import (
	"errors"

	"github.com/sluicegate/sluice/transport"
)

// A Registry holds the clients of one gateway. Its methods may be called on
// any goroutine, loops too, and do not block. They keep nothing of the slices
// that they are given. Slices and maps that they return belong to the caller,
// except where a comment says that they are shared; unless a comment says
// otherwise, they are in no particular order. Names that nobody has are left
// out, and those that come twice in a list count twice where clients are found.
type Registry interface {
	// Add lists c. It fails with ErrDuplicate, and changes nothing, if
	// e.UniqID or c is listed.
	Add(c *Client, e Entry) error
	// Remove takes c, and only this very client, off every list and returns
	// what it held. It returns false if c is not listed.
	Remove(c *Client) (Info, bool)
	// RemoveIf is Remove for a client that satisfies cond, and returns false
	// for others. cond runs under the registry's lock and must not call it.
	RemoveIf(c *Client, cond func(Info) bool) (Info, bool)
	// Info returns what c holds or, once it was removed, what it held then.
	// Its slices are shared: they may be kept and must not be changed. So
	// are those that Remove and RemoveIf return.
	Info(c *Client) Info

	// Lookup returns the client of that uniqId. It is for what goes to one
	// client: callers do not wait for one another.
	Lookup(uniqID string) (c *Client, ok bool)
	// Find appends the named clients to dst, in the order of the names, and
	// returns the extended slice, as the next three do.
	Find(dst []*Client, uniqIDs ...string) []*Client
	// FindByCustomer appends the clients of the named customers.
	FindByCustomer(dst []*Client, customerIDs ...string) []*Client
	// Everyone appends an audience for each loop that has clients. Each must
	// be released.
	Everyone(dst []Audience) []Audience
	// Subscribers appends an audience for each loop that has subscribers of
	// topic. Each must be released.
	Subscribers(dst []Audience, topic string) []Audience

	// Change changes what a client holds and returns the client. It fails,
	// and changes nothing, with ErrNotListed, as the next two do, or with
	// ErrTooManyTopics.
	Change(uniqID string, ch Change) (*Client, error)
	// Subscribe subscribes a client to topics; empty ones and those it has
	// are ignored. If it would then have more than most, it fails with
	// ErrTooManyTopics and changes nothing.
	Subscribe(uniqID string, topics []string, most int) (*Client, error)
	// Unsubscribe ends a client's subscriptions to topics.
	Unsubscribe(uniqID string, topics []string) (*Client, error)
	// DeleteTopics ends all subscriptions to topics and returns the clients
	// that lost one, each once.
	DeleteTopics(topics []string) []*Client

	// Len returns the number of clients.
	Len() int
	// UniqIDs returns all clients' ids.
	UniqIDs() []string
	// CustomerLen returns the number of customers with a client.
	CustomerLen() int
	// CustomerIDs returns all customers with a client.
	CustomerIDs() []string
	// TopicLen returns the number of topics with a subscriber.
	TopicLen() int
	// Topics returns all topics with a subscriber.
	Topics() []string
	// TopicUniqIDs returns the subscribers of those of topics that exist.
	TopicUniqIDs(topics []string) map[string][]string
	// TopicCustomers returns the distinct customers among the subscribers
	// of those of topics that exist.
	TopicCustomers(topics []string) map[string][]string
	// TopicCustomerUniqIDs returns the same, with all clients of each
	// customer, subscribers or not.
	TopicCustomerUniqIDs(topics []string) map[string]map[string][]string
	// TopicCounts returns the number of subscribers of topics, or of every
	// topic if all is true.
	TopicCounts(topics []string, all bool) map[string]int
	// TopicCustomerCounts returns the number of distinct customers among
	// the subscribers of topics, or of every topic if all is true.
	TopicCustomerCounts(topics []string, all bool) map[string]int
}

// Errors of a [Registry].
var (
	// ErrDuplicate says that a uniqId, or a client, is listed already. A gateway
	// closes the new client with code 1011.
	ErrDuplicate = errors.New("registry: the uniqId or the client is listed already")
	// ErrNotListed says that there is no client with that uniqId.
	ErrNotListed = errors.New("registry: no client has this uniqId")
	// ErrTooManyTopics says that a client would subscribe to more topics than
	// it may.
	ErrTooManyTopics = errors.New("registry: the client would have too many topics")
)

// Entry is what is known of a client when it is listed.
type Entry struct {
	// UniqID is the client's id. No other client has it.
	UniqID string
	// CustomerID is the customer that it belongs to, empty if none.
	CustomerID string
	// Session is its session, empty if there is none.
	Session string
	// Topics are those that it subscribes to; empty and doubled ones are
	// ignored.
	Topics []string
	// Conn is the client's connection.
	Conn transport.Conn
}

// Info is what a client holds.
type Info struct {
	// CustomerID is the customer that it belongs to, empty if none.
	CustomerID string
	// Session is its session, empty if there is none.
	Session string
	// Topics are those that it subscribes to. The slice is shared.
	Topics []string
}

// Change says what to change of a client. Nil fields are left as they are; an
// empty value clears.
type Change struct {
	// CustomerID is the customer that the client will belong to.
	CustomerID *string
	// Session is its new session.
	Session *string
	// Topics replaces all of its subscriptions; empty and doubled ones are
	// ignored.
	Topics *[]string
	// MaxTopics is how many subscriptions it may have after that. Zero means
	// any number.
	MaxTopics int
}
