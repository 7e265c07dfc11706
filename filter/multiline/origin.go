package multiline

import "context"

// origin says which filters of this kind have joined the events of a batch. They
// leave them alone when they come by again, in the context of the emitter. nil:
// none.
//
// Fluent Bit knows only the emitter that records come from directly, so two
// filters that take the same tag hand records to each other without end.
type origin struct {
	filter *Lines
	before *origin
}

type originKey struct{}

func originOf(ctx context.Context) *origin {
	o, _ := ctx.Value(originKey{}).(*origin)
	return o
}

func (o *origin) into(ctx context.Context) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// has tells whether f has joined the events.
func (o *origin) has(f *Lines) bool {
	for ; o != nil; o = o.before {
		if o.filter == f {
			return true
		}
	}
	return false
}

// and returns o with the filters of other.
func (o *origin) and(other *origin) *origin {
	for ; other != nil; other = other.before {
		if !o.has(other.filter) {
			o = &origin{other.filter, o}
		}
	}
	return o
}
