//go:build unix && !sessionlimits

package attack

import "github.com/sluicegate/sluice/gateway"

// withRoom has cfg allow n topics for a client, and sessions of n bytes.
func withRoom(cfg gateway.Config, _ int) gateway.Config { return cfg }
