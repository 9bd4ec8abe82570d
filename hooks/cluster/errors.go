package cluster

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/protocol"
)

// Errors of a cluster, to be tested for with [errors.Is]. A command that returns one
// of the first two was carried out on this node.
var (
	// ErrAway says that NATS cannot be reached, and that the other nodes got
	// nothing of the command, or were not asked. It is counted, see
	// hooks.ClusterStats.
	ErrAway = errors.New("cluster: NATS cannot be reached; only this node has carried out the command")
	// ErrNoWaiting says that a question was asked on an event loop, where nothing
	// may wait for other nodes: the answer is this node's only.
	ErrNoWaiting = errors.New("cluster: on an event loop other nodes cannot be waited for; this is the answer of this node only")
	// ErrNodeTaken says that another process of the cluster has the same node,
	// which is the first six bytes of its uniqIds.
	ErrNodeTaken = errors.New("cluster: another gateway has the same node; give each a gateway.Config.Node of its own")
)

// A SilentError comes with an answer that is incomplete.
type SilentError struct {
	// Nodes are those that did not answer in time, or could not be asked. It is
	// empty if which there are is not known, as NATS cannot be reached.
	Nodes []protocol.Node
	// Err is why: nil if they took too long, or were lost meanwhile.
	Err error
}

// Error implements error.
func (e *SilentError) Error() string {
	names := make([]string, len(e.Nodes))
	for i, n := range e.Nodes {
		names[i] = n.String()
	}
	if len(names) == 0 {
		names = []string{"nodes that are not known"}
	}
	text := "cluster: no answer from " + strings.Join(names, ", ")
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns Err.
func (e *SilentError) Unwrap() error { return e.Err }

// A remoteError is what another node has answered with that is no error of package
// hooks.
type remoteError struct {
	node protocol.Node
	text string
}

func (e *remoteError) Error() string { return fmt.Sprintf("cluster: node %v: %s", e.node, e.text) }

// known are the errors that stay themselves on their way from node to node, each at
// its number. Zero is any other, of which the text is left.
func known() []error {
	return []error{nil, hooks.ErrTooMany, hooks.ErrOverloaded, hooks.ErrStopped, hooks.ErrBulkMismatch}
}

// putError writes an error to the beginning of an answer.
func putError(b []byte, err error) []byte {
	code := 0
	for i, k := range known() {
		if k != nil && errors.Is(err, k) {
			code = i
		}
	}
	return withPrefix(append(b, byte(code)), err.Error())
}

// cutError takes it off again.
func cutError(node protocol.Node, body []byte) (rest []byte, err error) {
	if len(body) == 0 {
		return nil, &remoteError{node, "an error that cannot be read"}
	}
	text, rest, bad := cutPrefix(body[1:])
	switch all := known(); {
	case bad != nil:
		return nil, &remoteError{node, "an error that cannot be read"}
	case body[0] > 0 && int(body[0]) < len(all):
		return rest, fmt.Errorf("cluster: node %v: %w", node, all[body[0]])
	}
	return rest, &remoteError{node, text}
}
