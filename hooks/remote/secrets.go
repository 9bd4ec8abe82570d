package remote

import (
	"fmt"

	"github.com/sluicegate/sluice/internal/secret"
)

// SetSecrets has peers prove other secrets, in the place of those of
// [Config.Worker] and [Config.Task]. They hold for whoever proves one after it has
// returned; who is connected stays. A listener cannot be given its first secret,
// nor be without one, while it listens: an empty secret is for one that had an
// empty one. With an error, nothing changes. It may be called on any goroutine.
func (r *Router) SetSecrets(worker, task string) error {
	for _, one := range []struct {
		name, was, now string
	}{{"Worker", r.cfg.Worker.Secret, worker}, {"Task", r.cfg.Task.Secret, task}} {
		switch {
		case one.was == "" && one.now != "":
			return fmt.Errorf("remote: the secret of %s cannot be set, as it was made without one; make another Router", one.name)
		case one.was == "":
			continue
		case one.now == "":
			return fmt.Errorf("remote: the secret of %s cannot be empty, as it was made with one; make another Router", one.name)
		}
		if err := secret.Check(one.now); err != nil {
			return fmt.Errorf("remote: the secret of %s %w", one.name, err)
		}
	}
	if r.worker != nil {
		r.worker.secret.Store(&worker)
	}
	if r.task != nil {
		r.task.secret.Store(&task)
	}
	return nil
}
