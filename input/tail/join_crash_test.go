package tail

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

// dying is forgetful until it is dead: then it takes nothing, however long the
// context of a batch still lives.
type dying struct {
	forgetful
	dead atomic.Bool
}

func (e *dying) Emit(ctx context.Context, b *event.Batch) error {
	if e.dead.Load() {
		b.Ack = nil
		b.Free()
		return context.Canceled
	}
	return e.forgetful.Emit(ctx, b)
}

// Whenever the process dies, every record is emitted as a whole in the end.
func TestNoJoinedRecordIsLostByCrashes(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { joinCrashes(t, seed) })
	}
}

func joinCrashes(t *testing.T, seed uint64) {
	r := joinRig(t)
	rnd := rand.New(rand.NewPCG(seed, 3))
	em := &dying{forgetful: forgetful{rnd: rand.New(rand.NewPCG(seed, 4)), lines: map[string]int{}}}
	var want []string
	old := 0
	// write adds messages of both streams, the lines of which are mixed.
	write := func() {
		parts := map[string][]string{}
		for _, stream := range []string{"stdout", "stderr"} {
			for range rnd.IntN(40) {
				n := 1 + rnd.IntN(4)
				whole := ""
				for i := range n {
					part, tag := fmt.Sprintf("<%d.%d>", len(want), i), "P"
					if i == n-1 {
						tag = "F"
					}
					whole += part
					parts[stream] = append(parts[stream], fmt.Sprintf("2024-04-01T12:00:00.1Z %s %s %s\n", stream, tag, part))
				}
				want = append(want, whole)
			}
		}
		var text strings.Builder
		for len(parts["stdout"])+len(parts["stderr"]) > 0 {
			stream := []string{"stdout", "stderr"}[rnd.IntN(2)]
			if p := parts[stream]; len(p) > 0 {
				text.WriteString(p[0])
				parts[stream] = p[1:]
			}
		}
		cut := rnd.IntN(text.Len() + 1)
		r.append("a.log", text.String()[:cut])
		time.Sleep(time.Duration(rnd.IntN(30)) * time.Millisecond)
		r.append("a.log", text.String()[cut:])
		if rnd.IntN(4) == 0 {
			old++
			r.rename("a.log", fmt.Sprintf("a.log.%d", old))
		}
	}
	for round := range 10 {
		em.good = round == 9
		em.dead.Store(false)
		in := r.make("path", "$/a.log*", "db", "$/pos.db", "multiline.parser", "cri")
		in.readSize = int64(50 + rnd.IntN(500))
		r.joinFor(in, time.Hour)
		run := plugintest.Run(t, in, em)
		for range rnd.IntN(6) {
			write()
		}
		if em.good {
			// What was emitted in an earlier round need not have been read in this one
			// when the others have: the end of the file must.
			want = append(want, "<the end>")
			r.append("a.log", "2024-04-01T12:00:00.1Z stdout F <the end>\n")
			r.eventually("every record is emitted", func() bool {
				em.mu.Lock()
				defer em.mu.Unlock()
				for _, w := range want {
					if em.lines[w] == 0 {
						return false
					}
				}
				return true
			})
		}
		em.dead.Store(!em.good)
		_ = run.Stop()
		if !em.good {
			// What was not stored so far is not stored at all.
			r.must(in.keeper.db.close())
			in.keeper.db = nil
		}
		r.must(in.Close())
		em.held = nil
	}
	stored := map[int64]int64{}
	for _, row := range readRows(t, r.path("pos.db")) {
		stored[row.inode] = row.offset
	}
	if st, err := os.Stat(r.path("a.log")); err == nil && stored[inodeOf(t, r.path("a.log"))] != st.Size() {
		t.Errorf("the stored offset is %d in the end, want %d", stored[inodeOf(t, r.path("a.log"))], st.Size())
	}
	if strings.Contains(r.log.String(), "not about its content") {
		t.Error("what is in front of a stored offset is not what was stored with it")
	}
	t.Logf("%d records in %d files", len(want), old+1)
}
