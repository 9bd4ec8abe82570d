package load_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/sluicegate/sluice/internal/leaks"
	"github.com/sluicegate/sluice/internal/load/server"
)

// TestMain is also the server's process, and the business process, of tests that
// start this program once more.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && slices.Contains(server.Commands(), os.Args[1]) {
		if err := server.Command(context.Background(), os.Args[1], os.Args[2:], os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	leaks.Main(m)
}
