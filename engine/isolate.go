package engine

import (
	"context"
	"errors"
	"slices"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
)

// maxIsolating is how many parts of a refused chunk are sent in search of the
// records that are to blame: enough to find five in a full chunk. Parts that
// could not be divided further are given up as they are.
const maxIsolating = 128

// refuses tells whether an error will come again with the same events, while
// others may be taken: the destination refuses them for good, or the output
// panics, which is a bug.
func refuses(err error) bool {
	var permanent *plugin.PermanentError
	var partial *plugin.PartialError
	var panicked *panicError
	return errors.As(err, &panicked) || errors.As(err, &permanent) && !errors.As(err, &partial)
}

// span is some events of a chunk, one after the other.
type span struct {
	from, to int
	err      error // of the last attempt with them
}

func (sp span) len() int { return sp.to - sp.from }

// indexes appends the indexes of the events.
func (sp span) indexes(dst []int) []int {
	for i := sp.from; i < sp.to; i++ {
		dst = append(dst, i)
	}
	return dst
}

// isolation is the search for the records of a chunk that the destination
// refuses, so that they do not cost the others. Large parts come before small
// ones, so that the search ends soon where all are refused; within such a chunk
// the order of arrival is lost.
type isolation struct {
	todo    []span
	refused []span
	retry   []int
	failed  error // why retry is to be sent again
	taken   int
	bytes   int
}

// isolate sends a refused chunk in parts. It returns cause where that does not
// help; else what settle is to be told about the events that are left.
func (s *sink) isolate(ctx context.Context, d *delivery, cause error) error {
	if s.engine.letters == nil && s.engine.give == nil || d.entry.info.Signal != event.Logs || s.left(d) < 2 || s.hopeless.Load() {
		return cause
	}
	c := d.part
	if c == nil {
		var err error
		if c, err = d.entry.load(); err != nil {
			return cause
		}
	} else {
		c.Hold()
	}
	defer c.Release()
	var is isolation
	is.split(span{0, c.Count, cause})
	for sent := 0; len(is.todo) > 0; sent++ {
		if is.failed == nil && ctx.Err() != nil {
			is.failed = ctx.Err()
		}
		switch sp := is.next(); {
		case is.failed != nil:
			is.retry = sp.indexes(is.retry)
		case sent >= maxIsolating || is.taken == 0 && sent >= probes+2:
			is.refused = append(is.refused, sp)
		default:
			s.sendSpan(ctx, d, c, sp, &is)
		}
		if sent == 1 && is.taken == 0 && is.failed == nil {
			// Neither half is taken: is it about single records at all?
			is.probe(span{0, c.Count, cause})
		}
	}
	if is.taken == 0 {
		if is.failed != nil {
			return is.failed
		}
		s.hopeless.Store(true)
		return cause
	}
	for _, sp := range is.refused {
		part := c.Select(sp.indexes(nil))
		fate := s.reject(d, part, "refused", sp.err)
		part.Release()
		s.drop(d, "refused", sp.len(), fate)
		s.log.Error("the destination refused some records of a chunk for good; they "+fate.text,
			append(fate.attrs, "chunk", d.entry.info.ID.String(), "tag", c.Tag, "records", sp.len(), "of", c.Count, "error", sp.err)...)
	}
	s.failure.note(cause)
	s.delivered(d, is.taken, is.bytes)
	slices.Sort(is.retry)
	rest := c.Select(is.retry)
	if d.part != nil {
		d.part.Release()
	}
	d.part = rest
	if rest.Count == 0 {
		return nil
	}
	return is.failed
}

// split puts the halves of a span on the list.
func (is *isolation) split(sp span) {
	middle := (sp.from + sp.to) / 2
	is.todo = append(is.todo, span{sp.from, middle, sp.err}, span{middle, sp.to, sp.err})
}

// probes is how many single records are tried when both halves of a chunk are
// refused. If not one of them is taken it is not about single records, and no
// chunk is sent in parts until something was delivered.
const probes = 4

// probe makes the list anew: single records from all over the span, and then
// what is between them.
func (is *isolation) probe(sp span) {
	is.todo, is.refused = nil, nil
	var between []span
	from := sp.from
	for i := range probes {
		at := sp.from + (2*i+1)*sp.len()/(2*probes)
		if at < from {
			continue // There are not that many.
		}
		is.todo = append(is.todo, span{at, at + 1, sp.err})
		if at > from {
			between = append(between, span{from, at, sp.err})
		}
		from = at + 1
	}
	if from < sp.to {
		between = append(between, span{from, sp.to, sp.err})
	}
	is.todo = append(is.todo, between...)
}

func (is *isolation) next() span {
	sp := is.todo[0]
	is.todo = is.todo[1:]
	return sp
}

// sendSpan sends a span and notes what became of it.
func (s *sink) sendSpan(ctx context.Context, d *delivery, c *event.Chunk, sp span, is *isolation) {
	part := c.Select(sp.indexes(nil))
	// A destination that knows chunks by their id must not take it for the rest of
	// another part.
	part.ID = event.NewChunkID(d.entry.info.Created)
	defer part.Release()
	err := protect(func() error { return s.out.Send(ctx, part) })
	var partial *plugin.PartialError
	switch {
	case err == nil:
		is.taken += sp.len()
		is.bytes += part.Size()
	case errors.As(err, &partial):
		rest, ok := selectRest(part, partial)
		if !ok {
			is.retry, is.failed = sp.indexes(is.retry), err
			return
		}
		rest.Release()
		for _, i := range partial.Rejected {
			is.refused = append(is.refused, span{sp.from + i, sp.from + i + 1, err})
		}
		for _, i := range partial.Retry {
			is.retry, is.failed = append(is.retry, sp.from+i), err
		}
		taken := sp.len() - len(partial.Rejected) - len(partial.Retry)
		is.taken += taken
		is.bytes += part.Size() * taken / sp.len() // Near enough.
	case refuses(err) && sp.len() > 1:
		sp.err = err
		is.split(sp)
	case refuses(err):
		sp.err = err
		is.refused = append(is.refused, sp)
	default:
		is.retry, is.failed = sp.indexes(is.retry), err
	}
}
