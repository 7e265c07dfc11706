package rewrite_tag

import (
	"context"

	"github.com/kagarilog/kagari/event"
)

// origin says which filters of this kind moved the events of a batch, the last
// first. nil: none.
type origin struct {
	filter *Filter
	before *origin
}

type originKey struct{}

// maxRounds is how often a filter moves the same events. Fluent Bit lets filters
// that move records to and fro do so for ever.
const maxRounds = 2

func originOf(ctx context.Context) *origin {
	o, _ := ctx.Value(originKey{}).(*origin)
	return o
}

// next returns the context to emit with.
func (o *origin) next(ctx context.Context, f *Filter) context.Context {
	return context.WithValue(ctx, originKey{}, &origin{f, o})
}

// turnedBack tells whether f leaves the events alone: it made them itself, or
// moved them too often already.
func (o *origin) turnedBack(f *Filter) bool {
	if o != nil && o.filter == f {
		return true
	}
	rounds := 0
	for ; o != nil; o = o.before {
		if o.filter == f {
			rounds++
		}
	}
	return rounds >= maxRounds
}

// leave tells of events that a rule matches but that are left alone: the first
// time of those that f made itself, which stay where they should, and always of
// those that go round in circles.
func (f *Filter) leave(b *event.Batch, from *origin) {
	own := from.filter == f
	if own && f.told.Load() {
		return
	}
	w := f.work.Get().(*work)
	n := 0
	for i := range b.Events {
		if f.match(&b.Events[i], w) != nil {
			n++
		}
	}
	w.reset()
	f.work.Put(w)
	switch {
	case n == 0:
	case !own:
		f.log.Error("records go round in circles between filters that change tags; they keep the tag that they have", "tag", b.Tag)
		f.unchanged("circle").Add(n)
	case f.told.CompareAndSwap(false, true):
		f.log.Warn("this filter matches records that it moved itself; they are not moved again. Change its Match or rules to be clear", "tag", b.Tag)
	}
}
