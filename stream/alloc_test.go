//go:build !race

package stream

import (
	"testing"
	"time"

	"github.com/kagarilog/kagari/event"
)

// TestAllocations checks that records cost no memory of their own.
func TestAllocations(t *testing.T) {
	for _, sql := range hot {
		task, in, out := compile(t, sql, Options{}), hotBatch(t), event.NewBatch("")
		now := time.Unix(1, 0)
		n := testing.AllocsPerRun(100, func() {
			task.Process(in, now, out)
			out.Free()
			out = event.NewBatch("")
		})
		// The pools are refilled now and then.
		if n > 5 {
			t.Errorf("%s allocates %v times for 100 records", sql, n)
		}
	}
}
