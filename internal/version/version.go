// Package version says what a program was built from.
package version

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// unknown is what Go calls a version that it does not know.
const unknown = "(devel)"

// Info says what a program was built from, and for what.
type Info struct {
	// Version is that of the main module, such as "v1.2.3". It is "(devel)" if it
	// is not known.
	Version string
	// Revision and Time are those of the commit, as the version control system
	// writes them, empty if they are not known. Modified says that files differ
	// from it.
	Revision, Time string
	Modified       bool
	// Go is the version of Go, Platform what it was built for: "linux/amd64".
	Go, Platform string
}

// Read returns what this program was built from. It may be called on any goroutine.
func Read() Info {
	b, ok := debug.ReadBuildInfo()
	if !ok {
		b = new(debug.BuildInfo)
	}
	return of(b)
}

func of(b *debug.BuildInfo) Info {
	i := Info{Version: b.Main.Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if i.Version == "" {
		i.Version = unknown
	}
	for _, s := range b.Settings {
		switch s.Key {
		case "vcs.revision":
			i.Revision = s.Value
		case "vcs.time":
			i.Time = s.Value
		case "vcs.modified":
			i.Modified = s.Value == "true"
		}
	}
	return i
}

// Commit returns revision and time, and whether files differ, in one text:
// "(devel)" if they are not known.
func (i Info) Commit() string {
	if i.Revision == "" {
		return unknown
	}
	s := i.Revision
	if i.Modified {
		s += " and changes"
	}
	if i.Time != "" {
		s += ", " + i.Time
	}
	return s
}

// String returns all of it, a line each for version, commit and Go.
func (i Info) String() string {
	return strings.Join([]string{
		"version " + i.Version, "commit " + i.Commit(), fmt.Sprintf("built by %s for %s", i.Go, i.Platform),
	}, "\n")
}
