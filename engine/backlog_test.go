package engine

import (
	"testing"
	"time"

	"github.com/kagarilog/kagari/buffer"
)

// backlogged is a sink before which there are n chunks that wait to be tried
// again, the oldest of them since at.
func backlogged(n int, at time.Time) *sink {
	s := &sink{waiting: map[*delivery]struct{}{}}
	for i := range n {
		s.waiting[&delivery{entry: &entry{info: buffer.Info{Size: 10, Created: at.Add(time.Duration(i) * time.Second)}}}] = struct{}{}
	}
	return s
}

func TestBacklog(t *testing.T) {
	at := time.Now().Add(-time.Hour)
	s := backlogged(1000, at)
	if b := s.backlog(); b.chunks != 1000 || b.retrying != 1000 || b.bytes != 10000 || !b.oldest.Equal(at) {
		t.Errorf("%+v", b)
	}
	clear(s.waiting)
	if b := s.backlog(); b != (backlog{}) {
		t.Errorf("an empty one is %+v", b)
	}
}

// Metrics are asked for every second, however much waits.
func BenchmarkBacklog(b *testing.B) {
	s := backlogged(100_000, time.Now())
	for b.Loop() {
		s.backlog()
	}
}
