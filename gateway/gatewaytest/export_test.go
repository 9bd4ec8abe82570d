package gatewaytest

import "time"

// SetPatience has g wait less long before it fails a test.
func (g *Gateway) SetPatience(d time.Duration) { g.patience = d }
