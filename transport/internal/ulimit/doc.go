// Package ulimit says how many descriptors a transport may use for its clients.
// Event engines end when accepting fails for want of one, so clients are turned
// away before.
package ulimit
