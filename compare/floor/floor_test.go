package floor_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/compare/floor"
	"github.com/sluicegate/sluice/compare/launch"
	"github.com/sluicegate/sluice/compare/servertest"
)

func TestFloor(t *testing.T) {
	program := build(t)
	s, err := launch.OnPorts(t.Context(), program)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	session := servertest.Open(t, s.Clients, s.Task, 5)
	session.Echo()
	session.Broadcast()
	session.Leave()
	session.Pieces()
	session.Broadcast()
	session.Echo()
	s.Stop()
	session.AwaitEnd()
}

func TestBuildTakesAnotherSource(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mine.c")
	for source, want := range map[string]string{
		"int main(void) { return 0; }": "",
		"int main(void) { return ":     "mine.c does not compile",
	} {
		if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := floor.Build(t.Context(), t.TempDir(), file)
		skipWithoutCompiler(t, err)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: Build returned %v, want %q", source, err, want)
		}
	}
}

func TestBuildSaysWhatIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := floor.Build(t.Context(), t.TempDir(), ""); !errors.Is(err, floor.ErrNoCompiler) {
		t.Errorf("Build returned %v without a compiler", err)
	}
}

func build(t *testing.T) string {
	t.Helper()
	program, err := floor.Build(t.Context(), t.TempDir(), "")
	skipWithoutCompiler(t, err)
	if err != nil {
		t.Fatal(err)
	}
	return program
}

func skipWithoutCompiler(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, floor.ErrNoCompiler) {
		t.Skip(err)
	}
}
