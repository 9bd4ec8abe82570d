// Package attack is a suite of tests: what clients and business processes do to a
// gateway that mean it harm, or have gone wrong.
//
// In each test a gateway on real sockets serves a few clients that behave, the
// witnesses, while a process of its own attacks. Four things are asserted of every
// attack: how much memory the gateway may take for it, how long the witnesses may
// wait at the 99th percentile, that the counters account for every client and every
// message, and that nothing is left of it when it is over.
//
//	go test ./internal/attack
//
// The bounds are promises, not measurements. That of the waiting is far above what
// a machine at rest shows, and far below what a loop that is held up would.
package attack
