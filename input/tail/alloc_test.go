//go:build unix && !race

package tail

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

// freeing takes batches and gives their memory back at once.
type freeing struct{ events int }

func (f *freeing) Emit(_ context.Context, b *event.Batch) error {
	f.events += len(b.Events)
	b.Free()
	return nil
}

// A line costs no allocation of its own; a turn, some 900 lines, costs a few.
func TestLinesAllocateNothing(t *testing.T) {
	for _, c := range []struct {
		line string
		opts []string
	}{
		{benchLine, nil},
		{benchLine, []string{"path_key", "p", "offset_key", "o"}},
		{benchLine, []string{"parser", "json"}},
		{benchLine, []string{"parser", "json", "path_key", "p", "offset_key", "o"}},
		{benchLine, []string{"unicode.encoding", "auto"}},
		{benchLine, []string{"generic.encoding", "win1252"}},
		{criLine, criMode},
		{criLine, with(criMode, "path_key", "p", "offset_key", "o")},
		{dockerLine, dockerMode},
		{dockerLine, with(dockerMode, "docker_mode_parser", "docker")},
		{firstLine, firstLineMode},
	} {
		opts := c.opts
		r := &rig{T: t}
		r.joinEnv()
		path := filepath.Join(t.TempDir(), "a.log")
		if err := os.WriteFile(path, bytes.Repeat([]byte(c.line), 20_000), 0o644); err != nil {
			t.Fatal(err)
		}
		in := plugintest.NewInput(t, Def(), r.env, append([]string{"path", path, "read_from_head", "on"}, opts...)...).(*Input)
		if err := in.keeper.start(time.Now()); err != nil {
			t.Fatal(err)
		}
		f := in.queue.next()
		out := &freeing{}
		turn := func() {
			before := out.events
			if _, err := in.turn(t.Context(), out, f); err != nil {
				t.Fatal(err)
			}
			if out.events-before < 500 {
				f.restart()
			}
		}
		turn()
		turn()
		out.events = 0
		const runs = 20
		allocs := testing.AllocsPerRun(runs, turn)
		if lines := out.events / (runs + 1); allocs > 20 || lines < 500 {
			t.Errorf("%q: %v allocations for a turn of %d lines", opts, allocs, lines)
		}
		in.Close()
	}
}
