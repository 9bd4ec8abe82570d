package remote_test

import (
	"errors"
	"strings"
	"testing"

	peer "github.com/buexplain/netsvr-protocol-go/v6/netsvrProtocol"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks/remote"
	"github.com/sluicegate/sluice/internal/secret"
)

// Another secret holds for whoever comes, trusted or not, and nobody has to go.
func TestSetSecrets(t *testing.T) {
	const ofWorkers, ofTasks = "the secret of workers", "the secret of tasks"
	for name, listen := range map[string]func(remote.Config) (*remote.Router, error){"strangers": abroad(0), "guests": remote.Listen} {
		t.Run(name, func(t *testing.T) {
			h := startListening(t, listen, both(remote.Listener{Secret: known}), gateway.Config{})
			before := h.proven(secret.Task)
			must(t, h.rt.SetSecrets(ofWorkers, ofTasks))
			for listener, now := range map[string]string{secret.Worker: ofWorkers, secret.Task: ofTasks} {
				for tried, want := range map[string]error{known: secret.ErrDiffers, now: nil} {
					if err := secret.Prove(dialRaw(t, h.addr(listener)), tried, listener); !errors.Is(err, want) {
						t.Errorf("%s, %q: %v, want %v", listener, tried, err, want)
					}
				}
			}
			_, err := before.Write(packet(peer.Cmd_UniqIdCount, nil))
			must(t, err)
			before.expect(peer.Cmd_UniqIdCount, new(peer.UniqIdCountResp))
		})
	}
}

// What is wrong with one secret leaves both as they are.
func TestSetSecretsErrors(t *testing.T) {
	const other = "another horse battery staple"
	for name, tc := range map[string]struct{ wasWorker, wasTask, worker, task, want string }{
		"too short": {known, known, other, "too short", "the secret of Task has 9 bytes"},
		"none":      {known, known, "", other, "the secret of Worker cannot be empty"},
		"the first": {known, "", other, other, "the secret of Task cannot be set"},
		"as it was": {known, "", known, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			rc := both(remote.Listener{})
			rc.Worker.Secret, rc.Task.Secret = tc.wasWorker, tc.wasTask
			h := start(t, rc, gateway.Config{})
			err := h.rt.SetSecrets(tc.worker, tc.task)
			if tc.want == "" {
				must(t, err)
			} else if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want something of %q", err, tc.want)
			}
			h.proven(secret.Worker)
		})
	}
}
