package process

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// Read returns what the process with this id has used: its CPU time to a
// hundredth of a second.
func Read(pid int) (Usage, error) {
	dir := "/proc/" + strconv.Itoa(pid)
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return Usage{}, fmt.Errorf("process: %w", err)
	}
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		return Usage{}, fmt.Errorf("process: %w", err)
	}
	return parse(stat, status)
}

func parse(stat, status []byte) (u Usage, err error) {
	const (
		userField = 11 // after the name, which is in parentheses and may have any letters
		tick      = time.Second / 100
	)
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < userField+2 {
		return u, fmt.Errorf("process: %q has no CPU times", stat)
	}
	user, err := strconv.ParseInt(string(fields[userField]), 10, 64)
	if err != nil {
		return u, fmt.Errorf("process: user time: %w", err)
	}
	system, err := strconv.ParseInt(string(fields[userField+1]), 10, 64)
	if err != nil {
		return u, fmt.Errorf("process: system time: %w", err)
	}
	_, rss, ok := bytes.Cut(status, []byte("VmRSS:"))
	if !ok {
		return u, fmt.Errorf("process: it has ended")
	}
	var kB int64
	if _, err := fmt.Sscanf(string(rss), "%d", &kB); err != nil {
		return u, fmt.Errorf("process: resident memory: %w", err)
	}
	return Usage{User: time.Duration(user) * tick, System: time.Duration(system) * tick, RSS: kB << 10}, nil
}
