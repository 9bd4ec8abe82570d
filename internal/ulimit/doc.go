// Package ulimit says how many descriptors a gateway may use for its connections.
// Event engines end when accepting fails for want of one, so clients are turned
// away before, and business processes a little later. Descriptors are handed out
// from the lowest: one of a certain number says that those below are taken.
package ulimit
