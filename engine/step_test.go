package engine

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

// filterFunc is a filter for tests.
type filterFunc func(b *event.Batch)

var _ plugin.Filter = filterFunc(nil)

func (f filterFunc) Filter(_ context.Context, b *event.Batch) error { f(b); return nil }

// Where a condition holds for some events, the others stay as they are and
// where they are, whatever the filter does to its own.
func TestAConditionKeepsTheOrder(t *testing.T) {
	cond, err := newCondition(&config.Condition{Op: "and", Rules: []config.Rule{{Field: "$k", Op: "eq", Text: "x"}}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	mark := func(b *event.Batch) {
		for i := range b.Events {
			b.Events[i].Append(b.String("m"), b.Int(1))
		}
	}
	f := func(in, want string, filter filterFunc) {
		t.Helper()
		b := event.NewBatch("t")
		defer b.Free()
		for k := range strings.SplitSeq(in, "") {
			b.Add(0).SetRecord(b.Bytes(plugintest.Value(t, `{"k":"`+k+`"}`)))
		}
		st := &step{filter: filter, condition: cond, log: slog.New(slog.DiscardHandler)}
		st.apply(t.Context(), b, b.Size())
		var got strings.Builder
		for i := range b.Events {
			v, _ := b.Events[i].Get("k")
			k, _ := v.Str()
			got.Write(k)
			if _, marked := b.Events[i].Get("m"); marked {
				got.WriteByte('!')
			}
		}
		if got.String() != want {
			t.Errorf("of %s is left %s, want %s", in, &got, want)
		}
	}
	f("axxbxc", "ax!x!bx!c", mark)
	f("xax", "x!ax!", mark)
	f("abc", "abc", mark)
	f("axxbxc", "abc", func(b *event.Batch) { b.Events = b.Events[:0] })
	f("xxaxx", "xax", func(b *event.Batch) { b.Events = b.Events[:1] })
	double := func(b *event.Batch) {
		for i := range len(b.Events) {
			b.AddCopy(&b.Events[i])
		}
	}
	f("axxbxc", "axxxxbxxc", double)
	f("xabxx", "xxabxxxx", double)
	// Dropped events leave room for those that are added later.
	n := 0
	f("xaxbx", "abxx", func(b *event.Batch) {
		if n++; n < 3 {
			b.Events = b.Events[:0]
			return
		}
		double(b)
	})
}
