package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"reflect"

	"github.com/sluicegate/sluice/examples/gateway/config"
)

// reloads are when to configure a gateway anew, and from what.
type reloads struct {
	asked <-chan os.Signal
	load  func() (config.Config, error)
}

// A reloader puts other configurations in force while the gateway runs.
type reloader struct {
	reloads
	*parts
	log *journal
	cfg config.Config // in force
}

// serve reloads when it is asked to, until ctx ends.
func (r *reloader) serve(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.asked:
			if ctx.Err() == nil {
				r.reload()
			}
		}
	}
}

// reload is for a configuration that is right as a whole; otherwise it changes
// nothing.
func (r *reloader) reload() {
	next, err := r.load()
	if err != nil {
		r.reject(err)
		return
	}
	// Keys that need a restart stay as they are, so that what is in force is
	// known, and asked about, also after the next change.
	inForce, changes := r.cfg.Reload(next)
	p, err := r.prepare(inForce)
	if err == nil {
		err = r.admit(inForce)
	}
	if err != nil {
		p.close()
		r.reject(err)
		return
	}
	r.write(p, changes)
	r.identify(p)
	r.cfg = inForce
	needRestart := 0
	for _, c := range changes {
		if c.Restart {
			needRestart++
		}
	}
	r.log.Info("reloaded", "changed", len(changes)-needRestart, "need_restart", needRestart)
	r.log.level.Set(p.level)
}

// reject says all that is wrong.
func (r *reloader) reject(err error) {
	problems := []error{err}
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		problems = several.Unwrap()
	}
	for _, p := range problems {
		r.log.Error("configuration problem", "problem", p.Error())
	}
	r.log.Error("reload rejected", "problems", len(problems))
}

// prepared is what can fail of putting a configuration in force, done without
// anybody noticing.
type prepared struct {
	level        slog.Level
	file         *os.File
	worker, task *identity
}

// prepare returns all errors there are.
func (r *reloader) prepare(cfg config.Config) (p prepared, err error) {
	var errs [3]error
	p.worker, errs[0] = r.worker.renewed(workerTrust(cfg.Worker))
	p.task, errs[1] = r.task.renewed(taskTrust(cfg.Task))
	p.level, errs[2] = levelOf(cfg)
	if err := errors.Join(errs[:]...); err != nil {
		return p, err
	}
	p.file, err = openLogFile(cfg.LogFile) // last, as it may make one
	return p, err
}

// close is for what does not come in force.
func (p *prepared) close() {
	if p.file != nil {
		_ = p.file.Close() // nothing was written to it
	}
}

// admit puts in force who is let in, and how much. It changes all or nothing.
func (r *reloader) admit(cfg config.Config) error {
	if err := r.gw.SetOrigins(allowedOrigins(cfg.Customer, r.log.Logger)); err != nil {
		return err
	}
	now := limits(cfg)
	if reflect.DeepEqual(limits(r.cfg), now) {
		return nil // what the command Limit has set stays
	}
	if err := r.limiter.Adjust(now); err != nil {
		origins, _ := r.cfg.Customer.Origins()
		return errors.Join(err, r.gw.SetOrigins(origins))
	}
	return nil
}

// write goes on in the log file, also if that has the same name: somebody may have
// moved the one before. It begins with the difference, which is there by the
// level before or by that from now on.
func (r *reloader) write(p prepared, changes []config.Change) {
	if err := r.log.turn(p.file); err != nil {
		r.log.Warn("log file not closed", "error", err)
	}
	r.log.level.Set(min(p.level, r.log.level.Level()))
	for _, c := range changes {
		if c.Restart {
			r.log.Warn("restart needed", "key", c.Key)
		} else {
			r.log.Info("setting changed", "key", c.Key, "was", c.Was, "now", c.Now)
		}
	}
}

// identify has handshakes of business processes go by what the files say now.
func (r *reloader) identify(p prepared) {
	for _, one := range []struct {
		section string
		papers  *papers
		now     *identity
	}{{"Worker", &r.worker, p.worker}, {"Task", &r.task, p.task}} {
		if one.now == nil {
			continue
		}
		was := one.papers.now.Swap(one.now)
		if was.cert != one.now.cert {
			r.log.Info("certificate changed", "key", one.section+".TLSCert", "was", was.cert, "now", one.now.cert)
		}
		if was.clients != one.now.clients {
			r.log.Info("certificate changed", "key", one.section+".TLSClientCA", "was", was.clients, "now", one.now.clients)
		}
	}
}
