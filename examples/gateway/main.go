// Gateway is a stand-alone gateway: clients connect to it by WebSocket, and
// business processes by TCP. It reads the configuration files of the gateway
// whose protocol it speaks, so that it can take its place.
//
//	go run ./examples/gateway -config examples/gateway/sluice.toml
//
// Without a file it listens on this computer only. With -h it lists what can be
// configured, by file, environment or flags; -check says whether a
// configuration is right without starting anything, and -print prints it.
//
// On SIGHUP it reads file, environment and flags again and takes over limits,
// origins, log level, log file, certificates and secrets without dropping anyone,
// or says what is wrong and goes on as before: see docs/reload.md.
//
// Whoever is let in to the worker and task listeners controls all clients. On
// the loopback interface that is everybody; elsewhere the configuration must say
// who: by a secret, by client certificates or by networks. Clients' connections
// are not encrypted: a public gateway needs TLS before it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/sluicegate/sluice/examples/gateway/config"
	"github.com/sluicegate/sluice/internal/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal, while the first is still being obeyed, ends it at once.
	context.AfterFunc(ctx, stop)
	// Whenever it comes, before run listens for it and after, it ends nothing.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	err := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	stop()
	if err != nil {
		report(os.Stderr, err)
		os.Exit(1)
	}
}

// report tells the user of an error. Problems of the configuration stand at the
// beginning of a line, where editors look for a file's name.
func report(w io.Writer, err error) {
	if problems := (config.Problems)(nil); errors.As(err, &problems) {
		_, _ = fmt.Fprintln(w, err)
		return
	}
	_, _ = fmt.Fprintln(w, "gateway:", err)
}

// run does what the command line says, and serves until ctx ends.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	cmd, err := parse(args, environ)
	if errors.Is(err, flag.ErrHelp) {
		return help(stdout)
	}
	if err != nil {
		return err
	}
	if cmd.version {
		_, err := fmt.Fprintln(stdout, version.Read())
		return err
	}
	cfg, err := config.Load(cmd.file, environ, &cmd.flags)
	if err != nil {
		return err
	}
	switch {
	case cmd.print:
		_, err = io.WriteString(stdout, cfg.TOML())
		return err
	case cmd.check:
		what := cmd.file
		if what == "" {
			what = "the configuration"
		}
		_, err = fmt.Fprintln(stdout, what, "is valid")
		return err
	}
	log, err := openLog(cfg, stderr)
	if err != nil {
		return err
	}
	built := version.Read()
	log.Info("starting", "version", built.Version, "commit", built.Commit(), "go", built.Go)
	again := reloads{hangup, func() (config.Config, error) { return config.Load(cmd.file, environ, &cmd.flags) }}
	return errors.Join(serve(ctx, cfg, log, again, stdout), log.close())
}
