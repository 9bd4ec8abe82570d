package server_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/sluicegate/sluice/internal/load/server"
)

func TestServeWritesProfiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, ready := io.Pipe()
	go func() {
		_, _ = out.Read(make([]byte, 1))
		cancel()
		_, _ = io.Copy(io.Discard, out)
	}()
	err := server.Command(ctx, "serve", []string{"-profile", dir, "-loops", "1"}, nil, ready)
	_ = ready.Close()
	if err != nil {
		t.Fatal(err)
	}
	gzip := []byte{0x1f, 0x8b}
	for _, name := range []string{"cpu", "allocs", "mutex", "block"} {
		p, err := os.ReadFile(filepath.Join(dir, name+".pprof"))
		if err != nil || !bytes.HasPrefix(p, gzip) {
			t.Errorf("%s: %d bytes, error %v", name, len(p), err)
		}
	}
}

func TestProfilesNeedAFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := server.Command(t.Context(), "serve", []string{"-profile", file}, nil, io.Discard); err == nil {
		t.Error("a file was taken for a folder")
	}
}
