package forward

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/forwardproto"
	"github.com/kagarilog/kagari/plugin"
)

// maxSlots is how many tags of one connection have a batch at the same time
// and are remembered.
const maxSlots = 64

// slot is a tag that a connection sends, with the events that wait to be
// emitted.
type slot struct {
	wire  string // the tag as sent
	tag   string // the tag of the events
	batch *event.Batch
	size  int // bytes in batch, roughly
	// delivery is what the batch will acknowledge; nil for nothing.
	delivery *delivery
}

// tagRule makes the tag of events from the tag that was sent.
type tagRule struct {
	prefix string
	fixed  string // replaces every tag, unless there is a prefix
	def    string // for an empty tag
}

func (t *tagRule) tag(wire string) string {
	switch {
	case t.prefix != "":
		return t.prefix + wire
	case t.fixed != "":
		return t.fixed
	case wire == "":
		return t.def
	}
	return wire
}

// same tells whether all events have one tag, so that one batch keeps their
// order.
func (t *tagRule) same() bool { return t.prefix == "" && t.fixed != "" }

// acker sends acknowledgements. It may be called from any goroutine and never
// blocks.
type acker interface {
	// expect says that a delivery is under way.
	expect()
	// delivered says that one is done, with the encoded acknowledgements that are
	// due.
	delivered(acks []byte)
	// acknowledge sends without a delivery.
	acknowledge(acks []byte)
}

// sink collects the events of one connection into a batch per tag and keeps
// account of what to acknowledge. It has one owner.
//
// A message may go out in several batches, when it is large, and a batch may
// hold several messages. The acknowledgement of a message that lies in one
// batch waits in the batch's delivery, already encoded; that of a message that
// went through several waits in a span that the deliveries of all of them hold.
type sink struct {
	ctx   context.Context
	emit  plugin.Emitter
	acks  acker
	tags  *tagRule
	warn  func(error) // tells of a message that was left out
	slots map[string]*slot
	last  *slot
	live  []*slot // those with a batch, in the order of their first events

	// The message under way.
	cur     *slot
	mayAck  bool // it may turn out to ask for an acknowledgement
	inBatch int  // events of it in the batch of cur
	span    *span
}

// slot returns the slot of a tag as sent.
func (k *sink) slot(wire []byte) *slot {
	if k.last != nil && (k.last.wire == string(wire) || k.tags.same()) {
		return k.last
	}
	s := k.slots[string(wire)]
	if s == nil {
		if len(k.slots) >= maxSlots {
			k.forget()
		}
		name := string(wire)
		s = &slot{wire: name, tag: k.tags.tag(name)}
		if k.slots == nil {
			k.slots = map[string]*slot{}
		}
		k.slots[name] = s
	}
	k.last = s
	return s
}

// forget drops the tags without events.
func (k *sink) forget() {
	k.last = nil
	clear(k.slots)
	for _, s := range k.live {
		k.slots[s.wire] = s
	}
}

// batch returns the batch of s to add events to.
func (k *sink) batch(s *slot) *event.Batch {
	if s.batch == nil {
		s.batch = event.NewBatch(s.tag)
		k.live = append(k.live, s)
	}
	return s.batch
}

// begin starts a message.
func (k *sink) begin(s *slot, mayAck bool) {
	k.cur, k.mayAck, k.inBatch, k.span = s, mayAck, 0, nil
}

// added says that n events of the message, of so many bytes, are in its batch.
func (k *sink) added(n, bytes int) {
	k.inBatch += n
	k.cur.size += bytes
}

// end completes the message; chunk is the id to acknowledge or nil.
func (k *sink) end(chunk event.Value) {
	s, sp := k.cur, k.span
	k.cur, k.span = nil, nil
	switch {
	case chunk == nil:
		return
	case sp == nil && k.inBatch == 0:
		k.acks.acknowledge(forwardproto.AppendAck(nil, chunk))
	case sp == nil:
		d := s.deliver(k.acks)
		d.acks = forwardproto.AppendAck(d.acks, chunk)
	default:
		if k.inBatch > 0 {
			k.hold(s, sp)
		}
		sp.acks = forwardproto.AppendAck(nil, chunk)
		sp.release(k.acks)
	}
}

// hold makes the batch of s count for the span.
func (k *sink) hold(s *slot, sp *span) {
	sp.holders.Add(1)
	d := s.deliver(k.acks)
	d.spans = append(d.spans, sp)
}

// check emits if a batch has become large and there are more than enough tags.
func (k *sink) check() error {
	s := k.last
	if s.batch == nil || s.size < maxBatch && len(s.batch.Events) < maxEvents && len(k.live) < maxSlots {
		return nil
	}
	return k.flush()
}

// flush emits all batches.
func (k *sink) flush() error {
	for i, s := range k.live {
		if err := k.send(s); err != nil {
			k.live = append(k.live[:0], k.live[i+1:]...)
			err.lost += k.drop()
			return err
		}
	}
	clear(k.live)
	k.live = k.live[:0]
	return nil
}

// send emits the batch of s.
func (k *sink) send(s *slot) *sinkError {
	if s == k.cur && k.inBatch > 0 && k.mayAck {
		if k.span == nil {
			k.span = new(span)
			k.span.holders.Store(1) // the message itself
		}
		k.hold(s, k.span)
		k.inBatch = 0
	}
	b, d := s.batch, s.delivery
	s.batch, s.delivery, s.size = nil, nil, 0
	if len(b.Events) == 0 {
		b.Free()
		return nil
	}
	if d != nil {
		b.Ack = event.NewAck(d.done)
		k.acks.expect()
	}
	n := len(b.Events)
	if err := k.emit.Emit(k.ctx, b); err != nil {
		if d != nil {
			n = 0 // The peer waits for an acknowledgement in vain and sends them again.
		}
		return &sinkError{err, n}
	}
	return nil
}

// drop frees the batches that are left. It returns how many of their events no
// peer sends again.
func (k *sink) drop() (lost int) {
	for _, s := range k.live {
		if s.delivery == nil {
			lost += len(s.batch.Events)
		}
		s.batch.Free()
		s.batch, s.delivery = nil, nil
	}
	k.live = nil
	return lost
}

// refuse tells of a message that was left out without ending the connection.
func (k *sink) refuse(err error) { k.warn(err) }

// sinkError is an error of the emitter, which takes nothing any more.
type sinkError struct {
	err  error
	lost int // events that the peer believes to be taken
}

func (e *sinkError) Error() string { return "emit: " + e.err.Error() }
func (e *sinkError) Unwrap() error { return e.err }

func asSinkError(err error) (s *sinkError, ok bool) {
	ok = errors.As(err, &s)
	return s, ok
}

func sinkFailed(err error) bool {
	_, ok := asSinkError(err)
	return ok
}

// delivery is what to do when a batch is done.
type delivery struct {
	to    acker
	acks  []byte // encoded, of messages that end in the batch
	spans []*span
	done  func() // the method finish, bound once
}

var deliveries sync.Pool

// deliver returns the delivery of the slot's batch.
func (s *slot) deliver(to acker) *delivery {
	if s.delivery == nil {
		d, _ := deliveries.Get().(*delivery)
		if d == nil {
			d = new(delivery)
			d.done = d.finish
		}
		d.to = to
		s.delivery = d
	}
	return s.delivery
}

func (d *delivery) finish() {
	for _, sp := range d.spans {
		sp.release(d.to)
	}
	d.to.delivered(d.acks)
	clear(d.spans)
	d.to, d.acks, d.spans = nil, d.acks[:0], d.spans[:0]
	deliveries.Put(d)
}

// span is a message in several batches.
type span struct {
	holders atomic.Int32
	acks    []byte // encoded; empty if no acknowledgement is asked for
}

// release takes a holder away. The last one sends the acknowledgement.
func (sp *span) release(to acker) {
	if sp.holders.Add(-1) == 0 && len(sp.acks) > 0 {
		to.acknowledge(sp.acks)
	}
}
