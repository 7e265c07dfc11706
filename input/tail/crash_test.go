package tail

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

// forgetful takes batches and acknowledges them in no order, some never.
type forgetful struct {
	mu    sync.Mutex
	rnd   *rand.Rand
	lines map[string]int
	held  []*event.Batch
	good  bool // acknowledges all at once
}

func (e *forgetful) Emit(ctx context.Context, b *event.Batch) error {
	if ctx.Err() != nil {
		b.Ack = nil
		b.Free()
		return ctx.Err()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range b.Events {
		v, _ := b.Events[i].Get("log")
		s, _ := v.Str()
		e.lines[string(s)]++
	}
	e.held = append(e.held, b)
	for len(e.held) > 0 && (e.good || e.rnd.IntN(2) == 0) {
		i := e.rnd.IntN(len(e.held))
		e.held[i].Free()
		e.held = append(e.held[:i], e.held[i+1:]...)
	}
	return nil
}

func (e *forgetful) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.lines)
}

// Whenever the process dies, and whatever was acknowledged by then, every line
// is emitted in the end, and what is stored is always the end of a line.
func TestNothingIsLostByCrashes(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { crashes(t, seed) })
	}
}

func crashes(t *testing.T, seed uint64) {
	r := newRig(t)
	em := &forgetful{rnd: rand.New(rand.NewPCG(seed, 1)), lines: map[string]int{}}
	rnd := rand.New(rand.NewPCG(seed, 2))
	written, old := 0, 0
	write := func() {
		var text string
		for range rnd.IntN(200) {
			text += fmt.Sprintf("line %d\n", written)
			written++
		}
		r.append("a.log", text)
		if rnd.IntN(4) == 0 {
			old++
			r.rename("a.log", fmt.Sprintf("a.log.%d", old))
		}
	}
	checkStored := func() {
		// The stored name may be that from before a rotation.
		offsets := map[int64]int64{}
		for _, row := range readRows(t, r.path("pos.db")) {
			offsets[row.inode] = row.offset
		}
		for i := range old + 1 {
			name := r.path("a.log")
			if i > 0 {
				name = r.path(fmt.Sprintf("a.log.%d", i))
			}
			content, err := os.ReadFile(name)
			if err != nil {
				continue // just rotated
			}
			if at := offsets[inodeOf(t, name)]; at > 0 && content[at-1] != '\n' {
				t.Errorf("the stored offset %d of %s is within a line", at, name)
			}
		}
	}
	for round := range 12 {
		em.good = round == 11
		in := r.make("path", "$/a.log*", "db", "$/pos.db")
		in.readSize = int64(50 + rnd.IntN(500))
		run := plugintest.Run(t, in, em)
		for range rnd.IntN(6) {
			write()
			time.Sleep(time.Duration(rnd.IntN(20)) * time.Millisecond)
		}
		if em.good {
			r.eventually("every line is emitted", func() bool { return em.count() == written })
		}
		if err := run.Stop(); err != nil {
			t.Fatal(err)
		}
		// It dies: what was not stored so far is not stored at all.
		if !em.good {
			r.must(in.keeper.db.close())
			in.keeper.db = nil
		}
		r.must(in.Close())
		checkStored()
		em.held = nil
	}
	for i := range written {
		if em.lines[fmt.Sprintf("line %d", i)] == 0 {
			t.Fatalf("line %d of %d is lost", i, written)
		}
	}
	t.Logf("%d lines, %d of them more than once, in %d files", written, again(em.lines), old+1)
}

func again(lines map[string]int) (n int) {
	for _, count := range lines {
		if count > 1 {
			n++
		}
	}
	return n
}
