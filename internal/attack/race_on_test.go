//go:build unix && race

package attack

// raceDetector makes attacks smaller whose size is not the point.
const raceDetector = true
