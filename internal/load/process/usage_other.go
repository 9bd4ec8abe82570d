//go:build !linux

package process

// Read returns what the process with this id has used.
func Read(int) (Usage, error) { return Usage{}, ErrUnknown }
