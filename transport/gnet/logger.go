package gnet

import (
	"fmt"
	"log/slog"
	"strings"
)

// logger gives the engine's log lines to slog. The engine reports what peers
// do at its warning level, so that becomes debug.
type logger struct{ *slog.Logger }

func (l logger) Debugf(format string, args ...any) { l.Debug(line(format, args)) }
func (l logger) Infof(format string, args ...any)  { l.Debug(line(format, args)) }
func (l logger) Warnf(format string, args ...any)  { l.Debug(line(format, args)) }
func (l logger) Errorf(format string, args ...any) { l.Error(line(format, args)) }

// Fatalf must not end the process: a library leaves that to its host.
func (l logger) Fatalf(format string, args ...any) { l.Error(line(format, args)) }

func line(format string, args []any) string {
	return "gnet: " + strings.TrimSuffix(fmt.Sprintf(format, args...), "\n")
}
