//go:build race

package remote_test

// raceDetector makes tests of many messages smaller.
const raceDetector = true
