package plugintest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

// memory is an output that behaves as it is told.
type memory struct {
	Behaviour string
	dest      *destination
}

type destination struct {
	mu   sync.Mutex
	text strings.Builder
	n    int
}

func (d *destination) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.String()
}

func (m *memory) Fields() []option.Field {
	return []option.Field{option.String(&m.Behaviour, "behaviour", string(Healthy), "How to behave.")}
}

func (m *memory) New(*plugin.Env) (plugin.Output, error) { return m, nil }

func (m *memory) Send(ctx context.Context, c *event.Chunk) error {
	d := m.dest
	d.mu.Lock()
	defer d.mu.Unlock()
	d.n++
	switch b := Behaviour(m.Behaviour); {
	case b == Transient && d.n == 1:
		return errors.New("come back later")
	case b == Permanent:
		return plugin.Permanent(errors.New("never"))
	case b == Slow:
		<-ctx.Done()
		return ctx.Err()
	}
	var retry []int
	for cur := c.Cursor(); cur.Next(); {
		text := JSON(cur.Record)
		if Behaviour(m.Behaviour) == Partial && d.n == 1 && strings.Contains(text, "refuse") {
			retry = append(retry, cur.Index)
			continue
		}
		d.text.WriteString(text)
	}
	if retry != nil {
		return plugin.Partial(errors.New("not all"), retry)
	}
	return nil
}

func TestAGoodOutputPassesTheSuite(t *testing.T) {
	var dest *destination
	def := &plugin.Def{
		Kind: plugin.KindOutput, Name: "memory", Summary: "Keeps events", Doc: "The memory output.",
		Config: func() plugin.Config { return &memory{dest: dest} },
	}
	Definition(t, def)
	Output(t, OutputSuite{
		Def:        def,
		Behaviours: []Behaviour{Transient, Permanent, Partial, Slow},
		Open: func(t *testing.T, b Behaviour) Destination {
			dest = &destination{}
			return Destination{Props: []string{"behaviour", string(b)}, Delivered: dest.String}
		},
	})
}

// ticker is an input that emits now and then.
type ticker struct{ tag string }

func (k *ticker) Fields() []option.Field { return nil }

func (k *ticker) New(env *plugin.Env) (plugin.Input, error) { return &ticker{tag: env.Tag}, nil }

func (k *ticker) Run(ctx context.Context, out plugin.Emitter) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Millisecond):
		}
		b := event.NewBatch(k.tag)
		b.Add(1).Append(b.String("k"), b.Int(1))
		if err := out.Emit(ctx, b); err != nil {
			return err
		}
	}
}

func TestAGoodInputPassesTheSuite(t *testing.T) {
	def := &plugin.Def{
		Kind: plugin.KindInput, Name: "ticker", Summary: "Ticks", Doc: "The ticker input.",
		Config: func() plugin.Config { return &ticker{} },
	}
	Definition(t, def)
	Input(t, InputSuite{Def: def, Open: func(*testing.T) Source { return Source{} }})
}

func TestEmitterKeepsAcksUntilToldOtherwise(t *testing.T) {
	var em Emitter
	release := em.HoldAcks()
	done := false
	b := event.NewBatch("t")
	b.Ack = event.NewAck(func() { done = true })
	b.Add(5).Append(b.String("k"), b.String("v"))
	if err := em.Emit(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if done {
		t.Error("the ack was released at once")
	}
	release()
	if !done {
		t.Error("the ack was not released")
	}
	if want := []Event{{Tag: "t", Time: 5, Meta: "{}", Record: `{"k":"v"}`}}; !slices.Equal(em.Events(), want) {
		t.Errorf("recorded %v, expected %v", em.Events(), want)
	}
}

func TestBlockedEmitterReturnsTheErrorOfItsContext(t *testing.T) {
	var em Emitter
	unblock := em.Block()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := em.Emit(ctx, event.NewBatch("t")); !errors.Is(err, context.Canceled) {
		t.Errorf("Emit returned %v", err)
	}
	unblock()
	if err := em.Emit(t.Context(), event.NewBatch("t")); err != nil {
		t.Errorf("Emit returned %v after the blocking ended", err)
	}
}

func TestChunkHoldsWhatItWasGiven(t *testing.T) {
	c := ChunkOf(t, "t", Event{Time: At, Meta: `{"m":1}`, Record: `{"a":[1,2.5]}`})
	cur := c.Cursor()
	if !cur.Next() || cur.Time != At || JSON(cur.Meta) != `{"m":1}` || JSON(cur.Record) != `{"a":[1,2.5]}` {
		t.Errorf("the chunk holds time %d, metadata %s and record %s", cur.Time, JSON(cur.Meta), JSON(cur.Record))
	}
}
