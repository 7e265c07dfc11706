package engine

import (
	"bytes"
	"testing"
	"time"
)

func TestNumber(t *testing.T) {
	for text, want := range map[string]float64{
		"": 0, "x": 0, "12": 12, "-1.5e3x": -1500, "12abc": 12, "1_000": 1, ".5": 0.5, "+7 ": 7,
	} {
		if got := number([]byte(text)); got != want {
			t.Errorf("number(%q) = %v, want %v", text, got, want)
		}
	}
}

func TestNumberOfALongTextTakesNoTime(t *testing.T) {
	start := time.Now()
	number(bytes.Repeat([]byte("a"), 1<<20))
	if d := time.Since(start); d > 100*time.Millisecond {
		t.Errorf("looking for a number in 1 MB of text took %v", d)
	}
}
