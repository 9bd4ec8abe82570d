package hooks

// MetricItem is the number of a counter, as the protocol's Metrics command has
// it: one of the constants below.
type MetricItem int32

// The counters of a gateway.
const (
	// MetricOpened counts clients that connected.
	MetricOpened MetricItem = 1
	// MetricClosed counts clients that left.
	MetricClosed MetricItem = 2
	// MetricHeartbeats counts heartbeat messages, pings and pongs.
	MetricHeartbeats MetricItem = 3
	// MetricEvents counts opens, messages and closes that went to the
	// Router.
	MetricEvents MetricItem = 4
	// MetricEventBytes counts the bytes of those messages.
	MetricEventBytes MetricItem = 5
	// MetricWrites counts messages that clients' sockets have taken.
	MetricWrites MetricItem = 6
	// MetricWriteBytes counts their bytes, with frame headers.
	MetricWriteBytes MetricItem = 7
	// MetricOpensLimited counts handshakes that the Limiter refused.
	MetricOpensLimited MetricItem = 8
	// MetricMessagesLimited counts messages dropped because there were too
	// many from all clients.
	MetricMessagesLimited MetricItem = 9
	// MetricFailedSends counts events that could not be handed to another
	// process.
	MetricFailedSends MetricItem = 10
	// MetricFailedWrites counts messages that a client's socket did not
	// take: it was closing, too slow, or failed. Messages from a client that
	// was closing, or closed for the memory budget's sake, are among them.
	MetricFailedWrites MetricItem = 11
	// MetricFailedWriteBytes counts their bytes, with frame headers.
	MetricFailedWriteBytes MetricItem = 12
	// MetricClientLimited counts messages dropped because there were too
	// many from that client.
	MetricClientLimited MetricItem = 13
)

// MetricItems is how many items there are; they are numbered from 1.
const MetricItems = 13

// Metric is one counter of a gateway, as [Bus.Metrics] returns it. Byte counters
// count bytes, and bytes per second.
type Metric struct {
	// Count is the total since the gateway was made.
	Count int64
	// MeanRate is the mean per second over that time.
	MeanRate float64
	// Rate1, Rate5 and Rate15 are exponentially weighted rates per second
	// over 1, 5 and 15 minutes.
	Rate1, Rate5, Rate15 float64
}
