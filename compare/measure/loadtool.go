package measure

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const parentModule = "github.com/sluicegate/sluice"

// BuildLoadTool builds the load tool of the parent module into dir and returns its
// path. It takes the go command.
func BuildLoadTool(ctx context.Context, dir string) (string, error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", parentModule).Output()
	if err != nil {
		return "", fmt.Errorf("finding %s: %w; run this in its folder compare", parentModule, err)
	}
	path := filepath.Join(dir, "loadtest")
	build := exec.CommandContext(ctx, "go", "build", "-o", path, "./examples/loadtest")
	build.Dir = strings.TrimSpace(string(root))
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return "", fmt.Errorf("building the load tool: %w", err)
	}
	return path, nil
}
