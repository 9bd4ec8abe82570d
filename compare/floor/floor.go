// Package floor builds the floor of a comparison: a server in C that does
// nothing that a WebSocket server could leave out, so that what it costs is the
// kernel's part.
package floor

import (
	"context"
	_ "embed" // for source
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

//go:embed floor.c
var source []byte

// ErrNoCompiler says that there is no C compiler.
var ErrNoCompiler = errors.New("floor: there is no C compiler called cc: install one, such as gcc or clang")

// Build compiles the floor into dir and returns the program's path. file is
// another source to take, of a program that is used in the same way; empty means
// the package's own.
func Build(ctx context.Context, dir, file string) (string, error) {
	cc, err := exec.LookPath("cc")
	if err != nil {
		return "", ErrNoCompiler
	}
	if file == "" {
		file = filepath.Join(dir, "floor.c")
		if err := os.WriteFile(file, source, 0o600); err != nil {
			return "", err
		}
	}
	program := filepath.Join(dir, "floor")
	out, err := exec.CommandContext(ctx, cc, "-O2", "-o", program, file).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("floor: %s does not compile: %w\n%s", file, err, out)
	}
	return program, nil
}
