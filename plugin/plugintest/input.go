package plugintest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
)

// Source is where an input under test reads from.
type Source struct {
	// Props are alternating keys and values that point the input there.
	Props []string
	// Feed makes the source give at least one more event; it is called while
	// the input runs and may fail the test. It may be nil for sources that give
	// events by themselves.
	Feed func(t *testing.T)
}

// InputSuite is how Input tests an input.
type InputSuite struct {
	Def *plugin.Def
	// Open makes a source. It is called once per test.
	Open func(t *testing.T) Source
	// Env changes the environment, if not nil.
	Env func(*plugin.Env)
	// Once says that the source ends by itself after what was fed, so that the
	// input cannot be run again.
	Once bool
}

// Input checks that an input keeps the promises of plugin.Input.
func Input(t *testing.T, s InputSuite) {
	t.Helper()
	t.Run("emits with its tag", func(t *testing.T) { emits(t, &s) })
	t.Run("ends with its context", func(t *testing.T) { ends(t, &s) })
	t.Run("ends while it is held back", func(t *testing.T) { endsHeldBack(t, &s) })
	t.Run("ends when nothing is taken", func(t *testing.T) { endsRefused(t, &s) })
	if !s.Once {
		t.Run("runs again", func(t *testing.T) { runsAgain(t, &s) })
	}
}

func (s *InputSuite) open(t *testing.T) (plugin.Input, Source) {
	t.Helper()
	NoLeaks(t)
	src := s.Open(t)
	env := Env(t)
	env.Tag = "the.tag"
	env.Stop = func(int) {}
	if s.Env != nil {
		s.Env(env)
	}
	in := NewInput(t, s.Def, env, src.Props...)
	start(t, in)
	return in, src
}

func (src Source) feed(t *testing.T) {
	t.Helper()
	if src.Feed != nil {
		src.Feed(t)
	}
}

func emits(t *testing.T, s *InputSuite) {
	in, src := s.open(t)
	var em Emitter
	r := run(t, in, &em)
	src.feed(t)
	em.waitFor(t, func() bool { return em.batches > 0 }, func() { t.Fatal("nothing was emitted") })
	for _, e := range em.Events() {
		if e.Tag != "the.tag" {
			t.Errorf("an event has the tag %q where the option Tag says the.tag", e.Tag)
		}
		if e.Record == "" || e.Record[0] != '{' {
			t.Errorf("the record %s is no map", e.Record)
		}
	}
	if err := r.Stop(); err != nil && !errors.Is(err, plugin.ErrStop) {
		t.Errorf("Run: %v", err)
	}
}

func ends(t *testing.T, s *InputSuite) {
	in, _ := s.open(t)
	r := run(t, in, &Emitter{})
	begin := time.Now()
	if err := r.Stop(); err != nil && !errors.Is(err, plugin.ErrStop) {
		t.Errorf("Run: %v", err)
	}
	if d := time.Since(begin); d > 5*time.Second {
		t.Errorf("Run took %v to end", d)
	}
}

func endsHeldBack(t *testing.T, s *InputSuite) {
	in, src := s.open(t)
	em := &waiting{asked: make(chan struct{})}
	r := run(t, in, em)
	src.feed(t)
	select {
	case <-em.asked:
	case <-time.After(Patience):
		t.Fatal("nothing was emitted")
	}
	begin := time.Now()
	if err := r.Stop(); err != nil && !errors.Is(err, plugin.ErrStop) {
		t.Errorf("Run: %v", err)
	}
	if d := time.Since(begin); d > 5*time.Second {
		t.Errorf("Run took %v to end", d)
	}
}

// waiting is an emitter that blocks until the context ends.
type waiting struct {
	asked chan struct{}
	once  sync.Once
}

func (w *waiting) Emit(ctx context.Context, b *event.Batch) error {
	w.once.Do(func() { close(w.asked) })
	<-ctx.Done()
	b.Ack = nil
	b.Free()
	return ctx.Err()
}

// errRefused is what an emitter returns that takes nothing.
var errRefused = errors.New("nothing is taken")

type refusing struct{}

func (refusing) Emit(_ context.Context, b *event.Batch) error {
	b.Ack = nil
	b.Free()
	return errRefused
}

func endsRefused(t *testing.T, s *InputSuite) {
	in, src := s.open(t)
	r := run(t, in, refusing{})
	src.feed(t)
	// The engine refuses only when the process ends, so it is enough that the
	// input neither hangs nor crashes.
	if err := r.Stop(); err != nil && !errors.Is(err, errRefused) && !errors.Is(err, plugin.ErrStop) {
		t.Errorf("Run: %v", err)
	}
}

func runsAgain(t *testing.T, s *InputSuite) {
	in, src := s.open(t)
	if err := run(t, in, &Emitter{}).Stop(); err != nil && !errors.Is(err, plugin.ErrStop) {
		t.Fatalf("first run: %v", err)
	}
	var em Emitter
	r := run(t, in, &em)
	src.feed(t)
	em.waitFor(t, func() bool { return em.batches > 0 }, func() { t.Fatal("nothing was emitted by the second run") })
	if err := r.Stop(); err != nil && !errors.Is(err, plugin.ErrStop) {
		t.Errorf("second run: %v", err)
	}
}
