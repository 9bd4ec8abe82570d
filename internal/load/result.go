// Package load measures WebSocket servers, above all Sluice's gateway: it opens
// clients, drives them through a scenario and says what came of it.
package load

import "time"

// A Result is what one run of one scenario has measured. Durations are in
// nanoseconds when it is written as JSON.
type Result struct {
	Scenario   string        `json:"scenario"`
	Target     string        `json:"target"`    // what was measured, in words
	Clients    int           `json:"clients"`   // that were connected
	Took       time.Duration `json:"took"`      // of the measured phase, until the last operation was done
	Operation  string        `json:"operation"` // what Operations counts: "delivery", "round trip", "handshake" …
	Operations int64         `json:"operations"`
	Counts     []Count       `json:"counts"`    // in order of display
	Latencies  []Latency     `json:"latencies"` // those of operations first
	Server     *Server       `json:"server,omitempty"`
	Series     []Second      `json:"series"`
	Notes      []string      `json:"notes,omitempty"` // what a reader of the figures should know
}

// A Count is how often something happened: "sent", "delivered", "lost" …
type Count struct {
	Name string `json:"name"`
	N    int64  `json:"n"`
}

// A Latency is the distribution of how long something took: "delivery",
// "handshake" …
type Latency struct {
	Name      string        `json:"name"`
	Count     int64         `json:"count"`
	P50       time.Duration `json:"p50"`
	P90       time.Duration `json:"p90"`
	P99       time.Duration `json:"p99"`
	P999      time.Duration `json:"p999"`
	Max       time.Duration `json:"max"`
	Quantiles []Quantile    `json:"quantiles,omitempty"` // for a plot, rising, the last is the maximum
}

// A Quantile says that the share Q of all took at most Within.
type Quantile struct {
	Q      float64       `json:"q"` // 0 to 1
	Within time.Duration `json:"within"`
}

// A Server is what the server's process used. Result has none if that process is
// not known.
type Server struct {
	User      time.Duration `json:"user"` // CPU time in the measured phase
	System    time.Duration `json:"system"`
	RSSBefore int64         `json:"rssBefore"` // resident bytes after the warm-up, before the clients
	RSSIdle   int64         `json:"rssIdle"`   // with the clients connected and idle
	RSSPeak   int64         `json:"rssPeak"`   // the most that was seen in the measured phase
	RSSAfter  int64         `json:"rssAfter"`  // when the clients have left
}

// A Second is one step of a Result's series, usually a second long.
type Second struct {
	At         time.Duration `json:"at"` // its end, since the measured phase began
	Operations int64         `json:"operations"`
	P50        time.Duration `json:"p50"` // of the operations in this step
	P90        time.Duration `json:"p90"`
	P99        time.Duration `json:"p99"`
	Max        time.Duration `json:"max"`
	User       time.Duration `json:"user"` // the server's CPU time in this step; 0 if not known
	System     time.Duration `json:"system"`
	RSS        int64         `json:"rss"` // at its end, in bytes; 0 if not known
}

// Rate is operations per second.
func (r *Result) Rate() float64 {
	if r.Took <= 0 {
		return 0
	}
	return float64(r.Operations) / r.Took.Seconds()
}

// CPUPerOperation is the server's CPU time by operation. It is false if there
// was no operation, or the server's process is not known.
func (r *Result) CPUPerOperation() (time.Duration, bool) {
	if r.Server == nil || r.Operations == 0 {
		return 0, false
	}
	return time.Duration(float64(r.Server.CPU()) / float64(r.Operations)), true
}

// IdleBytes is what an idle client adds to the server's resident memory. It is
// false if the server's process is not known, or no memory was weighed.
func (r *Result) IdleBytes() (float64, bool) {
	if r.Server == nil || r.Clients == 0 || r.Server.RSSBefore == 0 || r.Server.RSSIdle == 0 {
		return 0, false
	}
	return float64(r.Server.RSSIdle-r.Server.RSSBefore) / float64(r.Clients), true
}

// Count is the count of that name, 0 if there is none.
func (r *Result) Count(name string) int64 {
	for _, c := range r.Counts {
		if c.Name == name {
			return c.N
		}
	}
	return 0
}

// Latency is the latency of that name, or nil.
func (r *Result) Latency(name string) *Latency {
	for i := range r.Latencies {
		if r.Latencies[i].Name == name {
			return &r.Latencies[i]
		}
	}
	return nil
}

// CPU is user and system time together.
func (s *Server) CPU() time.Duration { return s.User + s.System }
