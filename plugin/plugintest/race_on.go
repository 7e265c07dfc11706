//go:build race

package plugintest

// RaceDetector tells that the race detector is on, with which pools drop at
// random, so that allocations cannot be counted.
const RaceDetector = true
