// Package measure runs workloads against servers, each in a process of its own,
// by way of the load tool, and returns what came of each run.
package measure

import (
	"fmt"
	"strconv"
	"time"

	"github.com/sluicegate/sluice/internal/load"
)

// A Workload is something that servers are made to do.
type Workload struct {
	Name  string // short, for flags and files
	Title string // for people

	Scenario string // of the load tool
	Clients  int    // 0 means as many as suit the scenario
	Inflight int    // messages to all clients that are under way; 0 if there are none
	Topics   int    // 0 means that messages go to all clients without one
	Remote   bool   // what clients send goes by way of a business process

	Figure Figure // what it is run for
	// Base is the workload of the floor's that this one, which is Sluice's only, is
	// compared with. Empty means the same one.
	Base string
	// Goal is the most that is good for Sluice, times the floor's figure. 0 means
	// that there is no goal.
	Goal float64
	// Absolute says that Goal is of the figure itself.
	Absolute bool
}

// A Figure is what a workload is run for.
type Figure int

// The figures.
const (
	CPU    Figure = iota // microseconds of the server's CPU time per operation
	Memory               // of the server, resident, per idle client, in the kernel's kB of 1,024 bytes
)

// Of takes the figure from a result. It is false if the result has none.
func (f Figure) Of(r *load.Result) (float64, bool) {
	if f == Memory {
		bytes, ok := r.IdleBytes()
		return bytes / 1024, ok
	}
	cpu, ok := r.CPUPerOperation()
	return float64(cpu) / float64(time.Microsecond), ok
}

// Unit is that of the figure.
func (w Workload) Unit() string {
	if w.Figure == Memory {
		return "kB per idle client"
	}
	operation := "delivery"
	switch w.Scenario {
	case "echo":
		operation = "round trip"
	case "storm":
		operation = "handshake"
	}
	return "µs CPU per " + operation
}

// Workloads returns all of them, in the order in which they are run and shown.
func Workloads() []Workload {
	var all []Workload
	for _, c := range []struct {
		clients, inflight int
		goal              float64
	}{
		{1000, 1, 1.15}, {1000, 16, 0.12},
		{8000, 1, 1.15}, {8000, 16, 0.11},
		{18000, 1, 0}, {18000, 16, 0},
	} {
		all = append(all, broadcast(c.clients, c.inflight, c.goal))
	}
	for _, c := range []struct {
		clients int
		goal    float64
	}{{1000, 0.12}, {8000, 0.11}} {
		for _, topics := range []int{1, 10, 100} {
			all = append(all, publish(c.clients, topics, c.goal))
		}
	}
	return append(all,
		echo(50), echo(500),
		echoByBusiness(50), echoByBusiness(500),
		Workload{Name: "handshake", Title: "clients that come and go", Scenario: "storm", Goal: 1.4},
		Workload{Name: "hold", Title: "18,000 idle clients", Scenario: "hold", Clients: 18000, Figure: Memory, Goal: 0.9, Absolute: true},
	)
}

// Quick returns the names of the workloads that say most.
func Quick() []string {
	return []string{"broadcast-1000-1", "broadcast-1000-16", "publish-1000-10", "echo-50", "handshake", "hold"}
}

func broadcast(clients, inflight int, goal float64) Workload {
	return Workload{
		Name:     fmt.Sprintf("broadcast-%d-%d", clients, inflight),
		Title:    fmt.Sprintf("broadcast to %s clients, %d in flight", Thousands(clients), inflight),
		Scenario: "broadcast", Clients: clients, Inflight: inflight, Goal: goal,
	}
}

func publish(clients, topics int, goal float64) Workload {
	const inflight = 16
	title := fmt.Sprintf("publish to %d topics of %s clients, %d in flight", topics, Thousands(clients), inflight)
	if topics == 1 {
		title = fmt.Sprintf("publish to 1 topic of %s clients, %d in flight", Thousands(clients), inflight)
	}
	return Workload{
		Name: fmt.Sprintf("publish-%d-%d", clients, topics), Title: title,
		Scenario: "broadcast", Clients: clients, Inflight: inflight, Topics: topics,
		Base: fmt.Sprintf("broadcast-%d-%d", clients, inflight), Goal: goal,
	}
}

func echo(clients int) Workload {
	return Workload{
		Name: fmt.Sprintf("echo-%d", clients), Title: fmt.Sprintf("echo to %d clients", clients),
		Scenario: "echo", Clients: clients, Goal: 1.15,
	}
}

func echoByBusiness(clients int) Workload {
	return Workload{
		Name: fmt.Sprintf("business-%d", clients), Title: fmt.Sprintf("echo by a business process to %d clients", clients),
		Scenario: "echo", Clients: clients, Remote: true, Base: fmt.Sprintf("echo-%d", clients),
	}
}

// args are the load tool's, for a phase of that length.
func (w Workload) args(length time.Duration) []string {
	args := []string{"-quiet", "-json", "-", "-for", length.String()}
	if w.Figure == CPU {
		args = append(args, "-settle", "200ms") // which only weighing needs more of
	}
	for _, f := range []struct {
		name  string
		value int
	}{{"-n", w.Clients}, {"-inflight", w.Inflight}, {"-topics", w.Topics}} {
		if f.value > 0 {
			args = append(args, f.name, strconv.Itoa(f.value))
		}
	}
	return append(args, w.Scenario)
}

// Thousands writes n with a comma before each three digits.
func Thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
