// Package registry knows who is connected: clients by uniqId, the customers
// they belong to, their sessions and the topics they subscribe to.
//
// Changes take effect before a method returns, for every caller. Delivery
// does not look anything up: whoever sends to many takes an [Audience] for each
// loop, a list of recipients that later changes do not touch, and hands it to
// that loop. Taking one copies nothing and costs the same for ten clients and
// for a million.
//
// [NewMemory] is the default. Hosts that want another one implement
// [Registry].
package registry

import (
	"errors"

	"github.com/sluicegate/sluice/transport"
)

// A Registry holds the clients of one gateway. Its methods may be called on
// any goroutine and do not block. Strings and slices that they return belong
// to the caller, except where a comment says that they are shared.
type Registry interface {
	// Add lists c. It fails with ErrDuplicate, and changes nothing, if
	// e.UniqID or c is listed.
	Add(c *Client, e Entry) error
	// Remove takes c, and only this very client, off every list and returns
	// what it held. It returns false if c is not listed.
	Remove(c *Client) (Info, bool)
	// RemoveIf is Remove for a client that satisfies cond, which runs under
	// the registry's lock and must not call it.
	RemoveIf(c *Client, cond func(Info) bool) (Info, bool)
	// Info returns what c holds or, once it was removed, what it held then.
	// Its slices are shared and must not be changed.
	Info(c *Client) Info

	// Find appends the named clients to dst, in the order of the names;
	// those that are not listed are left out.
	Find(dst []*Client, uniqIDs ...string) []*Client
	// FindByCustomer appends the clients of the named customers.
	FindByCustomer(dst []*Client, customerIDs ...string) []*Client
	// Everyone appends an audience for each loop that has clients.
	Everyone(dst []Audience) []Audience
	// Subscribers appends an audience for each loop that has subscribers of
	// topic.
	Subscribers(dst []Audience, topic string) []Audience

	// Change changes what a client holds. It returns false if the client is
	// not listed.
	Change(uniqID string, ch Change) (*Client, bool)
	// Subscribe subscribes a client to topics; empty ones and those it has
	// are ignored.
	Subscribe(uniqID string, topics []string) (*Client, bool)
	// Unsubscribe ends a client's subscriptions to topics.
	Unsubscribe(uniqID string, topics []string) (*Client, bool)
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
	// customer.
	TopicCustomerUniqIDs(topics []string) map[string]map[string][]string
	// TopicCounts returns the number of subscribers of topics, or of every
	// topic if all is true.
	TopicCounts(topics []string, all bool) map[string]int
	// TopicCustomerCounts returns the number of distinct customers among
	// the subscribers of topics, or of every topic if all is true.
	TopicCustomerCounts(topics []string, all bool) map[string]int
}

// ErrDuplicate says that a uniqId, or a client, is listed already.
var ErrDuplicate = errors.New("registry: the uniqId or the client is listed already")

// Entry is what is known of a client when it is listed.
type Entry struct {
	UniqID     string
	CustomerID string
	Session    string
	Topics     []string
	// Conn is the client's connection.
	Conn transport.Conn
}

// Info is what a client holds.
type Info struct {
	CustomerID string
	Session    string
	Topics     []string
}

// Change says what to change of a client. Nil fields are left as they are; an
// empty value clears. Topics replaces all subscriptions.
type Change struct {
	CustomerID *string
	Session    *string
	Topics     *[]string
}
