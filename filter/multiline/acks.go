package multiline

import "github.com/kagarilog/kagari/event"

// acks is what the sources of held events wait for: the acks of the batches that
// they came with, each held once. They must be released when the events are
// handed on, by way of the batch that they are handed on with.
type acks []*event.Ack

// hold adds the ack of a batch at hand, of which other events may be held
// already.
func (a *acks) hold(ack *event.Ack) {
	if n := len(*a); ack == nil || n > 0 && (*a)[n-1] == ack {
		return
	}
	ack.Hold()
	*a = append(*a, ack)
}

// take moves what other holds to a.
func (a *acks) take(other *acks) {
	*a = append(*a, *other...)
	clear(*other)
	*other = (*other)[:0]
}

// into makes b's ack release a too. a is used up.
func (a acks) into(b *event.Batch) {
	others := 0
	for _, ack := range a {
		if ack == b.Ack {
			ack.Release() // b holds it itself
			continue
		}
		a[others] = ack
		others++
	}
	switch {
	case others == 0:
		return
	case others == 1 && b.Ack == nil:
		b.Ack = a[0]
		return
	}
	all := make(acks, 0, others+1)
	if b.Ack != nil {
		all = append(all, b.Ack)
	}
	all = append(all, a[:others]...)
	b.Ack = event.NewAck(func() {
		for _, ack := range all {
			ack.Release()
		}
	})
}

// release gives the acks up, of events that are needed no more.
func (a *acks) release() {
	for _, ack := range *a {
		ack.Release()
	}
	clear(*a)
	*a = (*a)[:0]
}
