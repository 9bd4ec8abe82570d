package process_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/sluicegate/sluice/internal/load/process"
)

// TestMain is also the child of tests that start this program once more.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "good":
			fmt.Println("ready at last")
			_, _ = io.Copy(io.Discard, bufio.NewReader(os.Stdin))
			return
		case "confused":
			fmt.Println("hello")
			_, _ = io.Copy(io.Discard, bufio.NewReader(os.Stdin))
			return
		case "bad":
			os.Exit(3)
		}
	}
	goleak.VerifyTestMain(m)
}

func TestChildIsReadyAndEndsWithItsInput(t *testing.T) {
	t.Parallel()
	c, line, err := process.Start("good")
	if err != nil {
		t.Fatal(err)
	}
	if line != "at last" {
		t.Errorf("it says %q", line)
	}
	if runtime.GOOS == "linux" {
		if u, err := process.Read(c.PID()); err != nil || u.RSS < 1<<18 || u.RSS > 1<<30 {
			t.Errorf("it has used %+v, %v", u, err)
		}
	}
	if err := c.Stop(); err != nil {
		t.Error(err)
	}
	if _, err := process.Read(c.PID()); err == nil {
		t.Error("it is still there")
	}
}

func TestChildrenThatDoNotStart(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"bad": "exit status 3", "confused": "did not start"} {
		if _, _, err := process.Start(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the error is %v, want one with %q", name, err, want)
		}
	}
}
