package load

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/sluicegate/sluice/internal/load/message"
	"github.com/sluicegate/sluice/internal/load/server"
	"github.com/sluicegate/sluice/internal/ulimit"
)

// Config says what a run does. The zero value of every field but Scenario is a
// default, often one of the scenario's own. Negative values are errors.
type Config struct {
	// Scenario names what happens. It must be set.
	Scenario string

	// Clients is how many are connected. Zero means the scenario's default.
	Clients int
	// For is how long the measured phase takes, an hour at most. Zero means 5
	// seconds, of hold 3 and of slow 10.
	For time.Duration
	// Bytes is the size of a message. Zero means the scenario's default.
	Bytes int
	// Rate is how many operations are begun per second, whether or not the
	// server keeps up: an open loop. Zero means the scenario's default, which
	// mostly is a closed loop, where one that is done begins the next.
	Rate float64
	// Depth is how many messages of a client are under way in a closed loop.
	// Zero means 1.
	Depth int
	// Inflight is how many messages to many clients are under way in a closed
	// loop. Zero means 16, of unicast 1,000.
	Inflight int
	// Topics is the number of topics that are used. Zero means the scenario's
	// default; of broadcast, that there are none.
	Topics int
	// Groups and GroupSize say how many groups there are, and of how many
	// clients. Zero means 20 and 50, of mixed groups of 20.
	Groups, GroupSize int
	// Parallel is how many connect at the same time. Zero means 16.
	Parallel int
	// Stalled is the share of clients that stops reading, above 0 and below 1.
	// Zero means 0.1.
	Stalled float64
	// Mix gives the parts of a mixed run their weights, as in "echo=4,login=1".
	// Empty means the scenario's default.
	Mix string

	// URL is where clients connect to a server that runs already, beginning
	// with ws:// or wss://. Empty means a gateway that is started for the run.
	URL string
	// Insecure takes any certificate from a wss server.
	Insecure bool
	// Task and Worker are the addresses of the task and worker listeners of
	// the gateway at URL. With both, the run is a business process of it. With
	// Task alone it can only send commands. Empty means that there are none.
	Task, Worker string
	// Secret is what the listeners Task and Worker want to be shown. Empty means
	// nothing.
	Secret string
	// PID is the process of the server at URL, to tell what it uses. Zero
	// means that it is not known.
	PID int
	// Inside runs the gateway in this process, instead of one of its own.
	Inside bool
	// Server says how a gateway that is started for the run works. Its
	// addresses are not looked at.
	Server server.Config
	// GC is the garbage collector's target percentage in the gateway's own
	// process, see [runtime/debug.SetGCPercent]. Zero means Go's own, 100.
	GC int
	// Procs is how many processors Go has in the gateway's own process, see
	// [runtime.GOMAXPROCS]. Zero means one for each CPU.
	Procs int
	// Profile is a folder for profiles of the gateway's own process, from its
	// start to its end: cpu.pprof, allocs.pprof, mutex.pprof and block.pprof, for
	// "go tool pprof". Taking them costs some speed. Empty means none.
	Profile string
	// Pin runs the gateway's own process on the first CPU, and all else on
	// the others.
	Pin bool

	// Settle is how long all rests before memory is weighed. Zero means 1
	// second.
	Settle time.Duration
	// Drain bounds how long messages under way are waited for at the end.
	// Zero means 10 seconds.
	Drain time.Duration
	// Progress, if not nil, is called about every second of the measured
	// phase, on the goroutine that called Run.
	Progress func(Second)

	mix mix
}

const (
	maxFor      = time.Hour
	maxBytes    = 1 << 20 // a gateway's default bound on a client's message
	maxTrackers = 20_000_000
)

// complete checks the configuration and fills in the defaults.
func (c *Config) complete() (*spec, error) {
	sc := specOf(c.Scenario)
	if sc == nil {
		return nil, fmt.Errorf("load: Config.Scenario is %q; use one of %v", c.Scenario, scenarioNames())
	}
	for name, v := range map[string]float64{
		"Clients": float64(c.Clients), "For": float64(c.For), "Bytes": float64(c.Bytes), "Rate": c.Rate, "Depth": float64(c.Depth),
		"Inflight": float64(c.Inflight), "Topics": float64(c.Topics), "Groups": float64(c.Groups), "GroupSize": float64(c.GroupSize),
		"Parallel": float64(c.Parallel), "Stalled": c.Stalled, "PID": float64(c.PID), "GC": float64(c.GC), "Procs": float64(c.Procs),
		"Settle": float64(c.Settle), "Drain": float64(c.Drain),
	} {
		if v < 0 || math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("load: Config.%s is %v; use 0 for the default or a positive value", name, v)
		}
	}
	sc.defaults(c)
	or(&c.For, 5*time.Second)
	or(&c.Bytes, 100)
	or(&c.Depth, 1)
	or(&c.Inflight, 16)
	or(&c.Parallel, 16)
	or(&c.Stalled, 0.1)
	or(&c.Settle, time.Second)
	or(&c.Drain, 10*time.Second)
	or(&c.Mix, defaultMix)
	or(&c.Server.Via, "gnet")
	or(&c.Server.Handler, "inline")
	if c.Progress == nil {
		c.Progress = func(Second) {}
	}
	var err error
	if c.mix, err = parseMix(c.Mix); err != nil {
		return nil, err
	}
	return sc, errors.Join(c.checkSizes(sc), c.checkTarget(sc))
}

func (c *Config) checkSizes(sc *spec) error {
	switch {
	case c.For > maxFor:
		return fmt.Errorf("load: Config.For is %v; a run takes %v at most", c.For, maxFor)
	case c.Bytes < message.HeadSize || c.Bytes > maxBytes:
		return fmt.Errorf("load: Config.Bytes is %d; a message has %d to %d bytes", c.Bytes, message.HeadSize, maxBytes)
	case c.Stalled >= 1:
		return fmt.Errorf("load: Config.Stalled is %v; it is a share, below 1", c.Stalled)
	case c.Rate > 10_000_000:
		return fmt.Errorf("load: Config.Rate is %v; 10,000,000 per second is the most", c.Rate)
	case sc.name == "groups" && c.Clients != c.Groups*c.GroupSize:
		return fmt.Errorf("load: Config.Clients is %d; scenario groups has Groups times GroupSize, %d: leave it out", c.Clients, c.Groups*c.GroupSize)
	case c.Groups*c.GroupSize*c.GroupSize > maxTrackers:
		return fmt.Errorf("load: %d groups of %d are too many to follow every sender at every client; use smaller groups", c.Groups, c.GroupSize)
	}
	descriptors := c.Clients + c.Parallel
	if c.Inside && c.URL == "" {
		descriptors *= 2
	}
	if have := ulimit.Descriptors(); descriptors > have {
		return fmt.Errorf("load: %d clients need %d descriptors, and this process has %d to give them: "+
			"use fewer, or raise the hard limit (ulimit -Hn)", c.Clients, descriptors, have)
	}
	return nil
}

func (c *Config) checkTarget(sc *spec) error {
	switch {
	case c.URL == "" && (c.Task != "" || c.Worker != ""):
		return errors.New("load: Config.Task and Config.Worker go with Config.URL: set it to where clients connect to that gateway")
	case c.Task == "" && c.Secret != "":
		return errors.New("load: Config.Secret goes with Config.Task, the address of the listener that wants it")
	case c.URL == "" && c.PID != 0:
		return errors.New("load: Config.PID goes with Config.URL: the process of a gateway that is started for the run is known")
	case c.Worker != "" && c.Task == "":
		return errors.New("load: Config.Worker is set without Config.Task, the address for a business process's commands")
	case c.URL != "" && c.Inside:
		return errors.New("load: Config.Inside and Config.URL exclude each other")
	case c.Pin && (c.URL != "" || c.Inside):
		return errors.New("load: Config.Pin is for a gateway that is started as a process of its own: leave out Config.URL and Config.Inside")
	case (c.GC != 0 || c.Procs != 0 || c.Profile != "") && (c.URL != "" || c.Inside):
		return errors.New("load: Config.GC, Config.Procs and Config.Profile are for a gateway that is started as a process of its own: leave out Config.URL and Config.Inside")
	case c.URL != "" && sc.needs >= needsTask && c.Task == "":
		return fmt.Errorf("load: scenario %s sends by way of the gateway: set Config.Task to the address of its task listener", sc.name)
	case c.URL != "" && sc.needs >= needsHandler && c.Worker == "":
		return fmt.Errorf("load: scenario %s needs the run's own handler: set Config.Task and Config.Worker to the gateway's listeners for business processes", sc.name)
	}
	return nil
}

// or gives v a default.
func or[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}
