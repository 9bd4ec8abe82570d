package admin

import "encoding/json"

// The protocol of the page's WebSocket. It is between the Admin and its own page,
// and nobody else's: both come with the same release.
//
// All messages are JSON objects in text frames. The server's have a "type":
//
//   - hello, once, at first: what the page need know, and the last minutes
//   - sample, each second
//   - tables, every few seconds
//   - reply, to each request, by its id
//
// The page sends requests, and now and then protocol.DefaultHeartbeat. A page that
// sends too many requests is closed with code 1013, one whose cookie has come to its
// end with 1008.

// version is that of the protocol: a page of another one loads itself anew.
const version = 1

type hello struct {
	Type    string `json:"type"` // "hello"
	Version int    `json:"version"`
	// Name is what the gateway is called.
	Name string `json:"name"`
	// Actions is whether kick and publish are allowed.
	Actions bool `json:"actions"`
	// Handlers is whether there are handlers' times, Processes whether there may
	// be business processes.
	Handlers  bool `json:"handlers"`
	Processes bool `json:"processes"`
	// Token is whether there is something to sign out of.
	Token bool `json:"token"`
	// Interval is the time between samples, in milliseconds; History has the
	// last Window of them at most, the oldest first.
	Interval int      `json:"interval"`
	Window   int      `json:"window"`
	History  []sample `json:"history"`
	// Tables are the last ones, if there are any.
	Tables *tables `json:"tables,omitempty"`
}

// A sample is what the gateway did since the one before. Rates are per second, times
// in seconds.
type sample struct {
	Type string `json:"type"` // "sample", empty in a history
	// Time is when it was taken, in milliseconds since 1970.
	Time   int64  `json:"t"`
	Status string `json:"status"`

	Clients   int   `json:"clients"`
	Customers int   `json:"customers"`
	Topics    int   `json:"topics"`
	Held      int64 `json:"held"` // bytes, as the next
	HeldLimit int64 `json:"heldLimit"`
	Stuck     int64 `json:"stuck"` // calls and loops that are held up

	Opened     float64 `json:"opened"`
	Closed     float64 `json:"closed"`
	Heartbeats float64 `json:"heartbeats"`
	In         float64 `json:"in"` // messages
	Out        float64 `json:"out"`
	BytesIn    float64 `json:"bytesIn"`
	BytesOut   float64 `json:"bytesOut"`
	// Drops are messages by reason, Closes clients by code and reason, Refused
	// handshakes by reason. Those that are 0 are left out.
	Drops   map[string]float64 `json:"drops,omitempty"`
	Closes  map[string]float64 `json:"closes,omitempty"`
	Refused map[string]float64 `json:"refused,omitempty"`

	// Handled are calls of handlers, Handler their times, Lag those that
	// event loops took to get to what they were asked. Without any there is none.
	Handled float64 `json:"handled"`
	Handler *times  `json:"handler,omitempty"`
	Lag     *times  `json:"lag,omitempty"`
	Late    float64 `json:"late"` // for how long a loop has not answered
	Workers workers `json:"workers"`
}

// times are of a histogram and therefore about right. Max is no less than the
// longest, as far as the histogram goes.
type times struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

type workers struct {
	Busy    int `json:"busy"`
	Waiting int `json:"waiting"` // clients
	Limit   int `json:"limit"`
}

type tables struct {
	Type string `json:"type"` // "tables"
	Time int64  `json:"t"`
	// Totals are since the gateway was made.
	Totals totals `json:"totals"`
	// Topics are the largest, unless there are too many to look at; Slow are the
	// slowest clients, unless a loop was too busy to say.
	Topics    []topic   `json:"topics"`
	TopicsCut bool      `json:"topicsCut"`
	Processes []process `json:"processes"`
	Slow      []slow    `json:"slow"`
	SlowCut   bool      `json:"slowCut"`
	Loops     []loop    `json:"loops"`
}

type totals struct {
	Opened     int64            `json:"opened"`
	Closed     int64            `json:"closed"`
	Heartbeats int64            `json:"heartbeats"`
	In         int64            `json:"in"`
	Out        int64            `json:"out"`
	BytesIn    int64            `json:"bytesIn"`
	BytesOut   int64            `json:"bytesOut"`
	Drops      map[string]int64 `json:"drops"`
	Closes     map[string]int64 `json:"closes"`
}

type topic struct {
	Name    string `json:"name"`
	Clients int    `json:"clients"`
}

// A process is a business process.
type process struct {
	ID           string   `json:"id"`
	RemoteAddr   string   `json:"remoteAddr"`
	Events       []string `json:"events"`
	Clients      int      `json:"clients"`
	QueuedEvents int      `json:"queuedEvents"`
	QueuedBytes  int      `json:"queuedBytes"`
	Sent         int64    `json:"sent"`
	Since        int64    `json:"since"` // milliseconds since 1970
	Leaving      bool     `json:"leaving"`
}

// A slow is a client for which something waits.
type slow struct {
	UniqID     string `json:"uniqId"`
	CustomerID string `json:"customerId"`
	Waiting    int    `json:"waiting"` // bytes
}

type loop struct {
	Transport    int `json:"transport"`
	Index        int `json:"index"`
	Connections  int `json:"connections"`
	Tasks        int `json:"tasks"`
	MailboxBytes int `json:"mailboxBytes"`
	// Writes and Written are how many writes to clients there were in the last one
	// or two seconds, per second, and how large they were on average, in bytes.
	Writes  float64 `json:"writes"`
	Written float64 `json:"written"`
}

// A request is one of the page's.
type request struct {
	// ID is the page's, and returned with the reply.
	ID int64 `json:"id"`
	// Do is "find", "kick" or "publish".
	Do string `json:"do"`
	// UniqID or CustomerID is who is meant; for publish UniqID or Topic.
	UniqID     string `json:"uniqId"`
	CustomerID string `json:"customerId"`
	Topic      string `json:"topic"`
	// Text is what to publish.
	Text string `json:"text"`
}

type reply struct {
	Type string `json:"type"` // "reply"
	ID   int64  `json:"id"`
	// Error is why it was not done, in words for a person. Empty if it was.
	Error string `json:"error,omitempty"`
	// Clients are those that were found, or the first of them, and Total is how
	// many there are; for publish, how many it went to.
	Clients []client `json:"clients,omitempty"`
	Total   int      `json:"total"`
}

// A client is what is known of one. What is long is cut.
type client struct {
	UniqID     string   `json:"uniqId"`
	CustomerID string   `json:"customerId"`
	Session    string   `json:"session"`
	SessionCut int      `json:"sessionCut"` // bytes that are not shown
	Topics     []string `json:"topics"`
	TopicCount int      `json:"topicCount"`
}

// encode makes a message. The types above can all be encoded.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // a number that is none, which rate and quantile see to
	}
	return b
}
