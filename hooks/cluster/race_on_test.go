//go:build race

package cluster_test

// raceDetector says whether the race detector is on, which slows everything down.
const raceDetector = true
