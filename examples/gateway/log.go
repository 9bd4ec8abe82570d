package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/sluicegate/sluice/examples/gateway/config"
)

// openLog returns the log, and what closes its file.
func openLog(cfg config.Config, stderr io.Writer) (log *slog.Logger, closeLog func() error, err error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.LogLevel)); err != nil {
		return nil, nil, fmt.Errorf("LogLevel: %w", err)
	}
	w, closeLog := stderr, func() error { return nil }
	if cfg.LogFile != "" {
		f, err := os.OpenFile(cfg.LogFile, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
		if err != nil {
			return nil, nil, fmt.Errorf("LogFile: %w", err)
		}
		w, closeLog = f, f.Close
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level})), closeLog, nil
}
