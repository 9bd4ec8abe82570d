package hooks

import (
	"context"
	"errors"
	"time"
)

// A Bus carries out commands on clients. It has one method for each command
// of the gateway's protocol, and PublishLatest, with the same meaning whether the
// business code is linked into the gateway or speaks to it over TCP.
//
// Its methods may be called on any goroutine, in handlers too. Commands that
// one caller issues one after the other reach a client in that order, and a
// query sees the caller's earlier changes. Data is copied before a method
// returns, so the caller may reuse it; results belong to the caller. Lists come
// in no particular order.
//
// ctx bounds how long a method may wait: in process, for room in the mailbox
// of an overloaded loop; over TCP, for the gateway. A handler must pass on the
// ctx that it was given, or one made of it: on an event loop it says that
// nothing may wait, and with another the loop would wait for itself.
//
// A command returns an error if it was not, or not wholly, taken:
// [ErrOverloaded], [ErrTooMany], [ErrStopped], the error of ctx, or one that says what is
// wrong with the arguments. Several may be joined, so test for them with
// [errors.Is]. Over TCP a command is taken once it is queued to be sent; what
// goes wrong with it later, the gateway logs and counts. That a client, customer
// or topic is not there is no error; such messages are counted as dropped.
//
// Ids, sessions and topics should be UTF-8: over TCP, a command with others is
// an error. An id that is listed twice gets the data twice, and so does a client in two
// of the topics of one publish. Empty and doubled topics are ignored when
// subscribing. Nil or empty data are not sent, except that the casts and
// Publish send an empty message.
type Bus interface {
	// Broadcast sends data to every client.
	Broadcast(ctx context.Context, data []byte) error
	// Multicast sends data to the named clients.
	Multicast(ctx context.Context, uniqIDs []string, data []byte) error
	// MulticastByCustomerID sends data to all clients of the named
	// customers.
	MulticastByCustomerID(ctx context.Context, customerIDs []string, data []byte) error
	// SingleCast sends data to one client.
	SingleCast(ctx context.Context, uniqID string, data []byte) error
	// SingleCastByCustomerID sends data to all clients of one customer.
	SingleCastByCustomerID(ctx context.Context, customerID string, data []byte) error
	// SingleCastBulk sends data[i] to uniqIDs[i], or all data to the only
	// id. Lists that do not pair up so are an error, and nothing is sent.
	// Empty data are skipped.
	SingleCastBulk(ctx context.Context, uniqIDs []string, data [][]byte) error
	// SingleCastBulkByCustomerID is SingleCastBulk for customers.
	SingleCastBulkByCustomerID(ctx context.Context, customerIDs []string, data [][]byte) error

	// Subscribe subscribes a client to topics and then sends it data, if
	// any. Without topics it does nothing.
	Subscribe(ctx context.Context, uniqID string, topics []string, data []byte) error
	// Unsubscribe ends a client's subscriptions and then sends it data, if
	// any. Without topics it does nothing.
	Unsubscribe(ctx context.Context, uniqID string, topics []string, data []byte) error
	// DeleteTopics ends all subscriptions to topics. Each client that lost
	// one is sent data, if any, once.
	DeleteTopics(ctx context.Context, topics []string, data []byte) error
	// Publish sends data to the subscribers of topics.
	Publish(ctx context.Context, topics []string, data []byte) error
	// PublishLatest is Publish for data of which only the latest matters, as a
	// price. key says what they are about, within each topic: for a client that
	// reads too slowly to get them all, they take the place of what waits with
	// the same key, on a gateway whose Config.Slow is transport.SlowLatest.
	// Elsewhere, and over TCP, whose protocol has no keys, it is Publish.
	PublishLatest(ctx context.Context, topics []string, key string, data []byte) error
	// PublishBulk publishes data[i] to topics[i], or all data to the only
	// topic, as SingleCastBulk does.
	PublishBulk(ctx context.Context, topics []string, data [][]byte) error

	// UpdateConnInfo changes what a client's connection holds. Together with
	// u.Data it is a log-in in one call: session, customer and topics are in
	// place before the client gets its welcome.
	UpdateConnInfo(ctx context.Context, u ConnInfoUpdate) error
	// DeleteConnInfo clears what a client's connection holds.
	DeleteConnInfo(ctx context.Context, d ConnInfoDelete) error

	// ForceOffline sends the named clients data, if any, and closes them
	// with code 1008, reason forceOffline (RFC 6455 section 7.4.1). They are
	// offline for every command that follows. After an error some are closed
	// without having been sent data.
	ForceOffline(ctx context.Context, uniqIDs []string, data []byte) error
	// ForceOfflineByCustomerID does so to all clients of the named
	// customers, reason forceOfflineByCustomerId.
	ForceOfflineByCustomerID(ctx context.Context, customerIDs []string, data []byte) error
	// ForceOfflineGuest does so, after delay, to those of the named clients
	// that then have neither a session nor a customer id, reason
	// forceOfflineGuest. It does not wait for the delay, of which 0 or less
	// is none. A gateway lets 65,536 clients wait at most, and 16 MiB of data; a
	// command beyond that is ErrOverloaded, and nothing of it is done.
	ForceOfflineGuest(ctx context.Context, uniqIDs []string, delay time.Duration, data []byte) error

	// CheckOnline returns those of the named clients that are online.
	CheckOnline(ctx context.Context, uniqIDs []string) ([]string, error)
	// UniqIDs returns all clients.
	UniqIDs(ctx context.Context) ([]string, error)
	// UniqIDCount returns how many clients there are.
	UniqIDCount(ctx context.Context) (int, error)
	// CustomerIDs returns the customers with a client online.
	CustomerIDs(ctx context.Context) ([]string, error)
	// CustomerIDCount returns how many customers have a client online.
	CustomerIDCount(ctx context.Context) (int, error)
	// Topics returns the topics with a subscriber.
	Topics(ctx context.Context) ([]string, error)
	// TopicCount returns how many topics have a subscriber.
	TopicCount(ctx context.Context) (int, error)
	// TopicUniqIDs returns the subscribers of each of topics. Topics that
	// do not exist are left out.
	TopicUniqIDs(ctx context.Context, topics []string) (map[string][]string, error)
	// TopicUniqIDCounts returns how many subscribers each of topics has, or
	// every topic if all is true. Here and below, topics that do not exist
	// are left out.
	TopicUniqIDCounts(ctx context.Context, topics []string, all bool) (map[string]int, error)
	// TopicCustomerIDs returns the customers with a subscriber of each of
	// topics.
	TopicCustomerIDs(ctx context.Context, topics []string) (map[string][]string, error)
	// TopicCustomerUniqIDs returns, by topic and by customer with a
	// subscriber of it, all of that customer's clients.
	TopicCustomerUniqIDs(ctx context.Context, topics []string) (map[string]map[string][]string, error)
	// TopicCustomerIDCounts returns how many customers have a subscriber of
	// each of topics, or of every topic if all is true.
	TopicCustomerIDCounts(ctx context.Context, topics []string, all bool) (map[string]int, error)
	// ConnInfo returns, by uniqId, the fields that f asks for. Clients that
	// are not online are left out.
	ConnInfo(ctx context.Context, uniqIDs []string, f ConnInfoFields) (map[string]ConnInfo, error)
	// ConnInfoByCustomerID returns, by customer, the fields that f asks for
	// of each of the customer's clients; CustomerID is among them.
	ConnInfoByCustomerID(ctx context.Context, customerIDs []string, f ConnInfoFields) (map[string][]ConnInfo, error)

	// Metrics returns the gateway's counters by item. Items that the gateway
	// is configured not to keep are left out.
	Metrics(ctx context.Context) (map[MetricItem]Metric, error)
	// Limit puts those fields of l that are above 0 in force, until the
	// gateway restarts, and returns the limits that then are. On a gateway
	// whose Limiter is not a LimitSetter it changes nothing and returns none.
	Limit(ctx context.Context, l Limits) (Limits, error)
}

// ConnInfoUpdate says what [Bus.UpdateConnInfo] changes. Fields that are empty
// leave their part as it is; [Bus.DeleteConnInfo] is for clearing. The lists are
// copied.
type ConnInfoUpdate struct {
	// UniqID is the client.
	UniqID string
	// NewSession replaces the session.
	NewSession string
	// NewCustomerID replaces the customer id.
	NewCustomerID string
	// NewTopics replaces all of the client's subscriptions.
	NewTopics []string
	// Data, if any, is sent to the client after the change.
	Data []byte
}

// ConnInfoDelete says what [Bus.DeleteConnInfo] clears.
type ConnInfoDelete struct {
	// UniqID is the client.
	UniqID string
	// Session, CustomerID and Topics name what to clear.
	Session, CustomerID, Topics bool
	// Data, if any, is sent to the client after the change.
	Data []byte
}

// ConnInfoFields says which fields of a ConnInfo are wanted; others are left
// zero.
type ConnInfoFields struct {
	// UniqID and the others each ask for the field of that name.
	UniqID, Session, CustomerID, Topics bool
}

// ConnInfo is what a client's connection holds.
type ConnInfo struct {
	// UniqID names the client.
	UniqID string
	// Session is the session, empty if there is none.
	Session string
	// CustomerID is the customer that the client belongs to, empty if none.
	CustomerID string
	// Topics are those that the client subscribes to.
	Topics []string
}

// Errors of a [Bus], to be tested for with [errors.Is].
var (
	// ErrStopped says that the gateway, or the client that speaks to it, has
	// stopped. It does not come back.
	ErrStopped = errors.New("sluice: the gateway has stopped")
	// ErrOverloaded says that an event loop could not keep up, and that the
	// message was dropped for the clients of that loop. Send less, or allow
	// more time or a larger mailbox, see OverloadWait and MailboxLimit in
	// gateway.Config. From protocol/business it says that a gateway does not
	// take commands fast enough.
	ErrOverloaded = errors.New("sluice: an event loop is overloaded; the message was dropped for some clients")
	// ErrTooMany says that a client would hold more than the gateway allows,
	// see MaxTopics, MaxName and MaxSession in gateway.Config, and that nothing
	// was changed or sent.
	ErrTooMany = errors.New("sluice: the client would have too many topics, or a session or a name that is too long; nothing was changed")
	// ErrBulkMismatch says that the lists of a bulk command do not pair up,
	// and that nothing was sent.
	ErrBulkMismatch = errors.New("sluice: a bulk command needs as many data as ids, or one id")
)
