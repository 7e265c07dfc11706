package plugintest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kagarilog/kagari/plugin"
)

// Behaviour is how a destination treats what an output sends.
type Behaviour string

// The behaviours of destinations.
const (
	Healthy   Behaviour = "healthy"   // takes everything
	Transient Behaviour = "transient" // fails the first Send in a way that a retry heals, then is healthy
	Permanent Behaviour = "permanent" // refuses the data for good
	Partial   Behaviour = "partial"   // refuses for now the events that contain "refuse", once, and takes the others
	Slow      Behaviour = "slow"      // never answers
)

// Destination is a place that an output under test sends to.
type Destination struct {
	// Props are alternating keys and values that point the output there.
	Props []string
	// Delivered returns everything that arrived, as text in which the records'
	// marks can be found. It may be nil for outputs that deliver nothing.
	Delivered func() string
	// Heal is called after the failure of a Transient or Partial destination,
	// for those that do not become healthy by themselves. It may be nil.
	Heal func()
}

func (d Destination) heal() {
	if d.Heal != nil {
		d.Heal()
	}
}

// OutputSuite is how Output tests an output.
type OutputSuite struct {
	Def *plugin.Def
	// Open makes a destination that behaves so. It is called once per test.
	Open func(t *testing.T, b Behaviour) Destination
	// Behaviours are those that the output's destinations can have; Healthy is
	// always tested.
	Behaviours []Behaviour
	// Env changes the environment, if not nil.
	Env func(*plugin.Env)
	// Twice allows events to arrive twice after a failure, which only an output
	// may do whose protocol cannot tell what was taken.
	Twice bool
}

// Output checks that an output keeps the promises of plugin.Output.
func Output(t *testing.T, s OutputSuite) {
	t.Helper()
	has := map[Behaviour]func(*testing.T, *OutputSuite){
		Transient: transient, Permanent: permanent, Partial: partial, Slow: slow,
	}
	t.Run("healthy", func(t *testing.T) { healthy(t, &s) })
	t.Run("several workers", func(t *testing.T) { workers(t, &s) })
	t.Run("cancelled", func(t *testing.T) { cancelled(t, &s) })
	t.Run("empty record", func(t *testing.T) { emptyRecord(t, &s) })
	for _, b := range s.Behaviours {
		test := has[b]
		if test == nil {
			t.Fatalf("BUG: behaviour %q is not known", b)
		}
		t.Run(string(b), func(t *testing.T) { test(t, &s) })
	}
}

// open makes a destination and an output for it.
func (s *OutputSuite) open(t *testing.T, b Behaviour) (plugin.Output, Destination) {
	t.Helper()
	NoLeaks(t)
	d := s.Open(t, b)
	env := Env(t)
	if s.Env != nil {
		s.Env(env)
	}
	return NewOutput(t, s.Def, env, d.Props...), d
}

// want checks that each mark arrived, and only once if that can be had.
func (s *OutputSuite) want(t *testing.T, d Destination, once bool, marks ...string) {
	t.Helper()
	if d.Delivered == nil {
		return
	}
	var got string
	for deadline := time.Now().Add(Patience); ; time.Sleep(5 * time.Millisecond) {
		got = d.Delivered()
		missing := ""
		for _, m := range marks {
			if !strings.Contains(got, m) {
				missing = m
			}
		}
		if missing == "" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the event with %q did not arrive; this did:\n%s", missing, got)
		}
	}
	for _, m := range marks {
		if n := strings.Count(got, m); once && n > 1 {
			t.Errorf("the event with %q arrived %d times:\n%s", m, n, got)
		}
	}
}

func healthy(t *testing.T, s *OutputSuite) {
	out, d := s.open(t, Healthy)
	c := Chunk(t, "t.one", `{"log":"mark-a"}`, `{"log":"mark-b","n":1.5,"m":{"k":[1,"x",null]}}`)
	before := bytes.Clone(c.Bytes())
	if err := out.Send(t.Context(), c); err != nil {
		t.Fatalf("Send: %v", err)
	}
	if !bytes.Equal(before, c.Bytes()) {
		t.Error("Send changed the chunk, which others share")
	}
	if err := out.Send(t.Context(), Chunk(t, "t.two", `{"log":"mark-c"}`)); err != nil {
		t.Fatalf("second Send: %v", err)
	}
	s.want(t, d, true, "mark-a", "mark-b", "mark-c")
}

func workers(t *testing.T, s *OutputSuite) {
	out, d := s.open(t, Healthy)
	var wg sync.WaitGroup
	var marks []string
	for w := range 4 {
		for n := range 5 {
			mark := fmt.Sprintf("mark-%d-%d", w, n)
			marks = append(marks, mark)
			c := Chunk(t, "t", `{"log":"`+mark+`"}`)
			wg.Go(func() {
				if err := out.Send(t.Context(), c); err != nil {
					t.Errorf("Send: %v", err)
				}
			})
		}
	}
	wg.Wait()
	s.want(t, d, true, marks...)
}

func cancelled(t *testing.T, s *OutputSuite) {
	out, _ := s.open(t, Healthy)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	begin := time.Now()
	// Whether it is sent all the same is the output's business.
	err := out.Send(ctx, Chunk(t, "t", `{"log":"mark"}`))
	if isPermanent(err) {
		t.Errorf("the end of the context is no reason to give a chunk up: %v", err)
	}
	if d := time.Since(begin); d > 5*time.Second {
		t.Errorf("Send took %v although its context had ended", d)
	}
}

func emptyRecord(t *testing.T, s *OutputSuite) {
	out, d := s.open(t, Healthy)
	if err := out.Send(t.Context(), Chunk(t, "t", `{}`, `{"log":"mark-x"}`)); err != nil {
		t.Fatalf("Send with an empty record: %v", err)
	}
	s.want(t, d, true, "mark-x")
}

func transient(t *testing.T, s *OutputSuite) {
	out, d := s.open(t, Transient)
	c := Chunk(t, "t", `{"log":"mark-a"}`, `{"log":"mark-b"}`)
	err := out.Send(t.Context(), c)
	if err == nil {
		t.Fatal("Send to a failing destination returned no error, so the chunk is lost")
	}
	if isPermanent(err) {
		t.Fatalf("Send gave up although a retry would help: %v", err)
	}
	d.heal()
	if err := out.Send(t.Context(), c); err != nil {
		t.Fatalf("the retry failed: %v", err)
	}
	s.want(t, d, !s.Twice, "mark-a", "mark-b")
}

func permanent(t *testing.T, s *OutputSuite) {
	out, _ := s.open(t, Permanent)
	err := out.Send(t.Context(), Chunk(t, "t", `{"log":"mark-a"}`))
	if err == nil {
		t.Fatal("Send of refused data returned no error")
	}
	var part *plugin.PartialError
	if !isPermanent(err) && !(errors.As(err, &part) && len(part.Rejected) > 0) {
		t.Fatalf("Send wants a retry of what is refused for good: %v", err)
	}
}

func partial(t *testing.T, s *OutputSuite) {
	out, d := s.open(t, Partial)
	c := Chunk(t, "t", `{"log":"mark-a"}`, `{"log":"mark-refuse-b"}`, `{"log":"mark-c"}`)
	err := out.Send(t.Context(), c)
	if err == nil {
		t.Fatal("Send returned no error although an event was refused")
	}
	var part *plugin.PartialError
	if !errors.As(err, &part) {
		t.Fatalf("Send does not tell which events were refused: %v", err)
	}
	if len(part.Retry) != 1 || part.Retry[0] != 1 {
		t.Fatalf("Send wants events %v sent again; only 1 was refused", part.Retry)
	}
	d.heal()
	if err := out.Send(t.Context(), c.Select(part.Retry)); err != nil {
		t.Fatalf("the retry failed: %v", err)
	}
	s.want(t, d, true, "mark-a", "mark-refuse-b", "mark-c")
}

func slow(t *testing.T, s *OutputSuite) {
	out, _ := s.open(t, Slow)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	begin := time.Now()
	err := out.Send(ctx, Chunk(t, "t", `{"log":"mark-a"}`))
	if err == nil {
		t.Fatal("Send returned no error although the destination never answered")
	}
	if isPermanent(err) {
		t.Fatalf("Send gave up on a slow destination: %v", err)
	}
	if d := time.Since(begin); d > 5*time.Second {
		t.Errorf("Send took %v although its context ended after 0.2 s", d)
	}
}

func isPermanent(err error) bool {
	var p *plugin.PermanentError
	return errors.As(err, &p)
}
