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
	p, err := r.prepare(inForce, next)
	if err == nil {
		err = allOrNothing(terms{r.cfg, r.secrets}, terms{inForce, p.secrets}, r.setSecrets, r.setOrigins, r.setLimits)
	}
	if err != nil {
		p.close()
		r.reject(err)
		return
	}
	r.write(p, changes)
	r.identify(p)
	r.cfg, r.secrets = inForce, p.secrets
	needRestart := 0
	for _, c := range changes {
		if c.Restart {
			needRestart++
		}
	}
	r.log.Info("reloaded", "changed", len(changes)-needRestart, "needRestart", needRestart)
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
	level                  slog.Level
	file                   *os.File
	worker, task, operator *identity
	secrets                secrets
}

// prepare returns all errors there are. cfg is to be in force, next what the files
// say.
func (r *reloader) prepare(cfg, next config.Config) (p prepared, err error) {
	worker, nextWorker := workerTrust(cfg.Worker), workerTrust(next.Worker)
	task, nextTask := taskTrust(cfg.Task), taskTrust(next.Task)
	operator, nextOperator := adminTrust(cfg.Admin), adminTrust(next.Admin)
	var errs [6]error
	p.worker, errs[0] = r.worker.renewed(worker, nextWorker)
	p.task, errs[1] = r.task.renewed(task, nextTask)
	p.secrets.worker, errs[2] = worker.renewed(r.secrets.worker, nextWorker)
	p.secrets.task, errs[3] = task.renewed(r.secrets.task, nextTask)
	p.level, errs[4] = levelOf(cfg)
	p.operator, errs[5] = r.operator.renewed(operator, nextOperator)
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

// terms say who is let in, and how much.
type terms struct {
	cfg     config.Config
	secrets secrets
}

// A step puts a part of the terms in force, or nothing.
type step func(was, now terms) error

// allOrNothing takes steps, and takes them back where one cannot be taken.
func allOrNothing(was, now terms, steps ...step) error {
	for i, take := range steps {
		if err := take(was, now); err != nil {
			for _, taken := range steps[:i] {
				err = errors.Join(err, taken(now, was))
			}
			return err
		}
	}
	return nil
}

func (r *reloader) setSecrets(_, now terms) error {
	if r.rt == nil {
		return nil
	}
	return r.rt.SetSecrets(now.secrets.worker, now.secrets.task)
}

func (r *reloader) setOrigins(_, now terms) error {
	return r.gw.SetOrigins(allowedOrigins(now.cfg.Customer, r.log.Logger))
}

// setLimits leaves alone what the command Limit has set, unless the configuration
// has other limits.
func (r *reloader) setLimits(was, now terms) error {
	if reflect.DeepEqual(limits(was.cfg), limits(now.cfg)) {
		return nil
	}
	return r.limiter.Adjust(limits(now.cfg))
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

// identify has handshakes of business processes go by what the files say now. Of
// secrets only that they differ is told, also if a file's name is the same.
func (r *reloader) identify(p prepared) {
	if p.secrets.worker != r.secrets.worker {
		r.log.Info("secret changed", "listener", "worker")
	}
	if p.secrets.task != r.secrets.task {
		r.log.Info("secret changed", "listener", "task")
	}
	for _, one := range []struct {
		section string
		papers  *papers
		now     *identity
	}{{"Worker", &r.worker, p.worker}, {"Task", &r.task, p.task}, {"Admin", &r.operator, p.operator}} {
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
