// Dockerlint checks Dockerfiles by the rules of `docker build --check`, without
// Docker and without a network.
//
//	go run . ../Dockerfile
//
// It is BuildKit's own linter, which Docker runs in a daemon. That daemon asks a
// registry what the base images set; here they set nothing.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/subrequests/lint"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: dockerlint DOCKERFILE …")
		os.Exit(2)
	}
	bad := false
	for _, name := range os.Args[1:] {
		text, err := os.ReadFile(name)
		if err != nil {
			fmt.Fprintln(os.Stderr, "dockerlint:", err)
			os.Exit(2)
		}
		clean, err := check(context.Background(), name, text, os.Stdout)
		if err != nil {
			fmt.Fprintf(os.Stderr, "dockerlint: %s: %v\n", name, err)
			os.Exit(2)
		}
		bad = bad || !clean
	}
	if bad {
		os.Exit(1)
	}
}

// check writes to w what is wrong with a Dockerfile, and says whether it is clean.
func check(ctx context.Context, name string, text []byte, w io.Writer) (clean bool, err error) {
	source := llb.NewSourceMap(nil, name, "Dockerfile", text)
	source.Definition = new(llb.Definition) // where the file came from: nowhere
	found, err := dockerfile2llb.DockerfileLint(ctx, text, dockerfile2llb.ConvertOpt{SourceMap: source, MetaResolver: bare{}})
	if err != nil {
		return false, err
	}
	if found.Error == nil && len(found.Warnings) == 0 {
		return true, nil
	}
	// The printer takes what a daemon sends, and leaves out why there is no build.
	sent, err := json.Marshal(found)
	if err != nil {
		return false, err
	}
	if err := lint.PrintLintViolations(sent, w, nil); err != nil {
		return false, err
	}
	if found.Error != nil {
		_, err = fmt.Fprintf(w, "\nERROR: %s: %s\n", name, found.Error.Message)
	}
	return false, err
}

// bare is a registry whose images set nothing.
type bare struct{}

func (bare) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	config, err := json.Marshal(ocispecs.Image{Platform: ocispecs.Platform{OS: "linux", Architecture: "amd64"}})
	return ref, digest.FromBytes(config), config, err
}
