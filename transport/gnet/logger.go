package gnet

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/sluicegate/sluice/internal/sampled"
)

// logger gives the engine's log lines to slog. The engine reports what peers
// do at its warning level, so that becomes debug.
type logger struct {
	log    *slog.Logger
	errors *sampled.Event
}

func (l logger) Debugf(format string, args ...any) { l.debug(format, args) }
func (l logger) Infof(format string, args ...any)  { l.debug(format, args) }
func (l logger) Warnf(format string, args ...any)  { l.debug(format, args) }
func (l logger) Errorf(format string, args ...any) { l.error(format, args) }

// Fatalf must not end the process: a library leaves that to its host.
func (l logger) Fatalf(format string, args ...any) { l.error(format, args) }

func (l logger) debug(format string, args []any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("engine message", "text", text(format, args))
	}
}

func (l logger) error(format string, args []any) {
	if n, ok := l.errors.Next(); ok {
		l.log.Error("engine error", "text", text(format, args), "suppressed", n)
	}
}

func text(format string, args []any) string {
	return strings.TrimSuffix(fmt.Sprintf(format, args...), "\n")
}
