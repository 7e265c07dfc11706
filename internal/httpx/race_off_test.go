//go:build !race

package httpx

// raceEnabled tells that pools drop at random.
const raceEnabled = false
