package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
)

// Of what is contended only a sample is taken, so that a profiled run is still like
// one that is not.
const (
	blockEvery = 10_000 // nanoseconds of blocking to a sample
	mutexEvery = 10     // contentions to a sample
)

// profile writes what this process does from now until stop is called: dir gets
// cpu.pprof, allocs.pprof, and where goroutines wait, mutex.pprof and block.pprof.
func profile(dir string) (stop func() error, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	cpu, err := os.Create(filepath.Join(dir, "cpu.pprof"))
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return nil, errors.Join(fmt.Errorf("server: %w", err), cpu.Close())
	}
	runtime.SetBlockProfileRate(blockEvery)
	runtime.SetMutexProfileFraction(mutexEvery)
	return func() error {
		pprof.StopCPUProfile()
		runtime.SetBlockProfileRate(0)
		runtime.SetMutexProfileFraction(0)
		err := cpu.Close()
		for _, name := range []string{"allocs", "mutex", "block"} {
			err = errors.Join(err, writeProfile(name, filepath.Join(dir, name+".pprof")))
		}
		return err
	}, nil
}

func writeProfile(name, file string) error {
	f, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	return errors.Join(pprof.Lookup(name).WriteTo(f, 0), f.Close())
}
