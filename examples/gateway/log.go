package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"

	"github.com/sluicegate/sluice/examples/gateway/config"
)

// A journal is the log, whose level and file may change.
type journal struct {
	*slog.Logger
	level  slog.LevelVar
	stderr io.Writer

	mu   sync.Mutex
	w    io.Writer
	file *os.File // nil if w is stderr
}

// openLog begins the log that cfg says.
func openLog(cfg config.Config, stderr io.Writer) (*journal, error) {
	level, err := levelOf(cfg)
	if err != nil {
		return nil, err
	}
	file, err := openLogFile(cfg.LogFile)
	if err != nil {
		return nil, err
	}
	j := &journal{stderr: stderr}
	j.level.Set(level)
	_ = j.turn(file)
	j.Logger = slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{Level: &j.level}))
	return j, nil
}

// levelOf returns the level that config has checked.
func levelOf(cfg config.Config) (level slog.Level, err error) {
	if err := level.UnmarshalText([]byte(cfg.LogLevel)); err != nil {
		return 0, fmt.Errorf("LogLevel: %w", err)
	}
	return level, nil
}

// openLogFile returns nil without a name.
func openLogFile(name string) (*os.File, error) {
	if name == "" {
		return nil, nil //nolint:nilnil // no file is what was asked for
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("LogFile: %w", err)
	}
	return f, nil
}

// Write implements io.Writer, for the handler.
func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.w.Write(p)
}

// turn goes on in a file, or at stderr if it is nil, and closes the one before.
func (j *journal) turn(file *os.File) error {
	j.mu.Lock()
	was := j.file
	j.w, j.file = j.stderr, file
	if file != nil {
		j.w = file
	}
	j.mu.Unlock()
	if was == nil {
		return nil
	}
	return was.Close()
}

// close ends the log; what is still written goes to stderr.
func (j *journal) close() error { return j.turn(nil) }
