package report

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// A Machine is what runs were made on.
type Machine struct {
	CPU    string `json:"cpu,omitempty"`    // model
	CPUs   int    `json:"cpus"`             // that the program could use when it started
	Kernel string `json:"kernel,omitempty"` // release
	System string `json:"system"`           // as Go calls it, with the architecture
	Go     string `json:"go"`               // version
}

// ThisMachine describes the one that this program runs on.
func ThisMachine() Machine {
	m := Machine{CPUs: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(b))
	}
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		_, rest, _ := strings.Cut(string(b), "model name")
		line, _, _ := strings.Cut(rest, "\n")
		m.CPU = strings.TrimLeft(line, "\t :")
	}
	return m
}

// String is a line for people.
func (m Machine) String() string {
	s := fmt.Sprintf("%d CPUs, %s, %s", m.CPUs, m.System, m.Go)
	if m.CPU != "" {
		s = m.CPU + ", " + s
	}
	if m.Kernel != "" {
		s += ", kernel " + m.Kernel
	}
	return s
}
