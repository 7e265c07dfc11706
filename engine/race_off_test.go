//go:build !race

package engine

// raceEnabled tells that pools drop at random.
const raceEnabled = false
