package process

import (
	"testing"
	"time"
)

func TestParseUsage(t *testing.T) {
	t.Parallel()
	const stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 900 0 0 0 250 31 7 8 20 0 9 0 100 0 0"
	const status = "Name:\tx\nVmHWM:\t  9999 kB\nVmRSS:\t  2048 kB\nThreads:\t9\n"
	u, err := parse([]byte(stat), []byte(status))
	if want := (Usage{User: 2500 * time.Millisecond, System: 310 * time.Millisecond, RSS: 2 << 20}); err != nil || u != want {
		t.Errorf("the usage is %+v, %v, want %+v", u, err, want)
	}
	for _, bad := range [][2]string{{"42 (x) S 1", status}, {"", status}, {stat, "Name:\tx\n"}, {stat, "VmRSS:\tmuch\n"}} {
		if u, err := parse([]byte(bad[0]), []byte(bad[1])); err == nil {
			t.Errorf("%q and %q are read as %+v", bad[0], bad[1], u)
		}
	}
}
