//go:build !race

package multiline_test

import (
	"slices"
	"testing"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/parser/multiline"
)

// The race detector makes pools forget, so allocations are counted without it.
func TestNothingIsAllocatedForALine(t *testing.T) {
	parts := criLines()
	for i := range parts {
		if i%4 != 3 {
			parts[i] = parts[i][:38] + "P" + parts[i][39:]
		}
	}
	f := func(name string, lines []string) {
		s := newSource(t, multiline.Options{BufferLimit: multiline.DefaultBufferLimit}, builtin(name)...)
		s.Emitted = nil
		raw := make([][]byte, len(lines))
		for i := range lines {
			raw[i] = []byte(lines[i])
		}
		feed := func() {
			b := event.NewBatch("t")
			for i, line := range raw {
				s.Line(b, line, int64(i), now)
			}
			b.Free()
		}
		feed()
		// A batch may get new memory.
		if n := testing.AllocsPerRun(20, feed); n > float64(len(lines))/50 {
			t.Errorf("%s: %v allocations for %d lines", name, n, len(lines))
		}
	}
	f("cri", criLines())
	f("cri", parts)
	f("docker", dockerLines())
	f("java", slices.Repeat(javaTrace, 50))
}
