package measure

import (
	"context"
	"os"
	"os/exec"

	"github.com/sluicegate/sluice/compare/launch"
	"github.com/sluicegate/sluice/compare/servers"
)

// The names of those subjects that are no library's.
const (
	FloorName  = "floor"
	SluiceName = "sluice"
)

// A Subject is a server to measure.
type Subject struct {
	Name    string // short, for flags and tables
	Version string // of its library; empty if there is none
	// start is nil if the load tool starts the server itself.
	start func(context.Context) (*launch.Server, error)
	// lacks says why it cannot do a workload that others can. Nil means that it
	// can do all.
	lacks func(Workload) string
}

// Floor is the program in C at path, see package floor.
func Floor(path string) Subject {
	return Subject{
		Name: FloorName,
		start: func(ctx context.Context) (*launch.Server, error) {
			return launch.OnPorts(ctx, path)
		},
		lacks: func(w Workload) string {
			if w.Figure == Memory {
				return "the floor keeps nothing for a client"
			}
			return ""
		},
	}
}

// Sluice is the gateway that the load tool starts.
func Sluice() Subject {
	return Subject{Name: SluiceName}
}

// Library is a server of package servers, which program, told to "serve" it,
// runs.
func Library(program string, l servers.Library) Subject {
	return Subject{
		Name: l.Name, Version: l.Version(),
		start: func(context.Context) (*launch.Server, error) {
			return launch.Ready(serve(program, l))
		},
		lacks: func(w Workload) string {
			if w.Scenario == "echo" && l.NoEcho != "" {
				return l.NoEcho
			}
			return ""
		},
	}
}

func serve(program string, l servers.Library) *exec.Cmd {
	cmd := exec.Command(program, "serve", l.Name)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=100")
	return cmd
}

// Lacks says why s cannot do w. Empty means that it can.
func (s Subject) Lacks(w Workload) string {
	switch {
	case w.Base != "" && s.Name != SluiceName:
		return OursOnly
	case s.lacks == nil:
		return ""
	}
	return s.lacks(w)
}

// OursOnly is what others lack of a workload that only Sluice has.
const OursOnly = "it is measured for Sluice only"
