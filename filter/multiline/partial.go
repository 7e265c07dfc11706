package multiline

import (
	"bytes"
	"container/list"
	"context"
	"encoding/binary"
	"sync"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
)

// The fields that Docker's log driver fluentd adds to the parts of a message
// that is longer than 16 KiB (Docker manual, "Fluentd logging driver").
const (
	partialPrefix  = "partial_"
	partialMessage = "partial_message" // "true"
	partialID      = "partial_id"      // the same for all parts
	partialOrdinal = "partial_ordinal" // "1", "2", …
	partialLast    = "partial_last"    // "true" or "false"
)

// Partial joins the parts of messages that Docker has split.
type Partial struct {
	*hold
	key       string
	keyPacked event.Value

	mu       sync.Mutex
	messages map[string]*message // by source, tag and id
	order    list.List           // of *message, the one added to last at the back
	size     int                 // of all messages
	ended    bool                // nothing is held any more
	id       []byte              // of the event at hand
	free     []*message
}

var (
	_ plugin.Filter = (*Partial)(nil)
	_ plugin.Runner = (*Partial)(nil)
)

func newPartial(c *Config, h *hold) *Partial {
	return &Partial{hold: h, key: c.KeyContent, keyPacked: event.AppendString(nil, c.KeyContent), messages: map[string]*message{}}
}

// Filter takes parts of messages out of b and puts the joined message in the
// place of its last part. Other events stay as they are.
func (f *Partial) Filter(ctx context.Context, b *event.Batch) error {
	first := 0
	for first < len(b.Events) && !isPartial(&b.Events[first]) {
		first++
	}
	if first == len(b.Events) {
		return nil
	}
	f.join(b, first)
	f.emitAll(ctx, f.excess)
	return nil
}

// join does the work of Filter from the event first on.
func (f *Partial) join(b *event.Batch, first int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	idle := len(f.messages) == 0
	var done acks
	n := first
	for i := first; i < len(b.Events); i++ {
		if f.part(b, &b.Events[i], now, &done) {
			b.Events[n] = b.Events[i]
			n++
		}
	}
	clear(b.Events[n:])
	b.Events = b.Events[:n]
	done.into(b)
	if idle && len(f.messages) > 0 {
		f.started()
	}
}

// part takes one event. It returns whether the event stays in b, be it as it was
// or as the joined message.
func (f *Partial) part(b *event.Batch, e *event.Event, now time.Time, done *acks) bool {
	if !isPartial(e) {
		return true
	}
	id, ok := e.Get(partialID)
	if !ok {
		f.leave("no_partial_id", "a part of a message has no partial_id; it goes on as it is", b.Tag)
		return true
	}
	content, _ := e.Get(f.key)
	text, ok := content.Str()
	if !ok {
		f.leave("no_text", "a part of a message has no text in the key multiline.key_content; it goes on as it is", b.Tag)
		return true
	}
	if s, ok := id.Str(); ok {
		id = s
	}
	m := f.message(b, e, id)
	m.add(b, e, text)
	m.touched = now
	f.order.MoveToBack(m.place)
	f.count(m)

	if last, _ := e.Get(partialLast); isTrue(last) {
		if m.disorder {
			f.log.Warn("parts of a message are missing or out of order; they are joined as they came", "tag", b.Tag, "id", string(id))
		}
		done.take(&m.acks)
		m.put(b, e, f.keyPacked, false)
		f.remove(m)
		return true
	}
	if f.limit <= 0 || len(m.text) < f.limit {
		return false
	}
	f.log.Warn("a message is longer than multiline_buffer_limit; it goes on in pieces", "tag", b.Tag, "id", string(id), "limit", f.limit)
	f.truncated.Add(1)
	done.take(&m.acks)
	m.put(b, e, f.keyPacked, true)
	m.text, m.pieces = m.text[:0], m.pieces+1
	f.count(m)
	return true
}

// leave tells of a part that cannot be joined.
func (f *Partial) leave(reason, msg, tag string) {
	f.log.Warn(msg, "tag", tag)
	f.stats.Counter("kagari_filter_unchanged_records_total",
		"Records that a filter should have changed but left as they were, by reason.", "reason", reason).Add(1)
}

// message returns the message of the id; a new one begins with e.
func (f *Partial) message(b *event.Batch, e *event.Event, id []byte) *message {
	f.id = binary.AppendUvarint(f.id[:0], uint64(len(b.Source)))
	f.id = append(f.id, b.Source...)
	f.id = binary.AppendUvarint(f.id, uint64(len(b.Tag)))
	f.id = append(f.id, b.Tag...)
	f.id = append(f.id, id...)
	if m := f.messages[string(f.id)]; m != nil {
		return m
	}
	m := new(message)
	if n := len(f.free); n > 0 {
		m, f.free = f.free[n-1], f.free[:n-1]
	}
	m.id, m.tag = string(f.id), b.Tag
	m.begin(e, f.key)
	m.place = f.order.PushBack(m)
	f.messages[m.id] = m
	return m
}

// count keeps the size of all messages after a change of m.
func (f *Partial) count(m *message) {
	size := m.size()
	f.size += size - m.counted
	m.counted = size
}

// remove forgets a message that was handed on.
func (f *Partial) remove(m *message) {
	const most, big = 16, 256 << 10 // to keep for reuse
	f.size -= m.counted
	delete(f.messages, m.id)
	f.order.Remove(m.place)
	if len(f.free) < most && cap(m.text) <= big && cap(m.head) <= big {
		m.reset()
		f.free = append(f.free, m)
	}
}

// Run emits messages whose last part does not come.
func (f *Partial) Run(ctx context.Context, _ plugin.Emitter) error {
	f.run(ctx, f.flush, f.end)
	return nil
}

// flush emits what nothing was added to for long enough.
func (f *Partial) flush(ctx context.Context) (next time.Time) {
	before := time.Now().Add(-f.wait)
	f.emitAll(ctx, func() []*event.Batch {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.oldest(late, func(m *message) bool { return !m.touched.After(before) })
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	if e := f.order.Front(); e != nil {
		next = e.Value.(*message).touched.Add(f.wait)
	}
	return next
}

// end emits everything, and holds nothing from now on: filters behind which this
// one stands may still emit what they hold.
func (f *Partial) end(ctx context.Context) {
	f.mu.Lock()
	f.ended = true
	f.mu.Unlock()
	f.emitAll(ctx, f.excess)
}

// excess removes messages that cannot be held any longer.
func (f *Partial) excess() []*event.Batch {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.ended:
		return f.oldest(ending, func(*message) bool { return true })
	case f.size > f.total:
		f.log.Warn("too much is held of messages whose last part is awaited; the oldest go on as they are", "limit", f.total)
		return f.oldest(crowded, func(*message) bool { return f.size > f.total })
	}
	return nil
}

// maxBatches is how many batches are made before they are emitted: they have
// memory of their own, and the held messages can all have different tags.
const maxBatches = 32

// emitAll emits what remove returns until that is nothing more.
func (f *Partial) emitAll(ctx context.Context, remove func() []*event.Batch) {
	for {
		batches := remove()
		for _, b := range batches {
			f.emit(ctx, b)
		}
		if len(batches) < maxBatches {
			return
		}
	}
}

// oldest removes messages as long as the function wants the oldest one and there
// is room for batches, and returns them.
func (f *Partial) oldest(why reason, want func(*message) bool) (out []*event.Batch) {
	var done acks // of the last batch
	finish := func() {
		if n := len(out); n > 0 {
			done.into(out[n-1])
			done = done[:0]
		}
	}
	for e := f.order.Front(); e != nil; e = f.order.Front() {
		m := e.Value.(*message)
		if !want(m) {
			break
		}
		if m.pieces > 0 && len(m.text) == 0 {
			m.acks.release()
			f.remove(m) // all of it went on in pieces
			continue
		}
		n := len(out)
		if n == 0 || out[n-1].Tag != m.tag {
			if n == maxBatches {
				break
			}
			finish()
			out = append(out, event.NewBatch(m.tag))
			n++
		}
		b := out[n-1]
		m.put(b, b.Add(0), f.keyPacked, false)
		done.take(&m.acks)
		f.incomplete[why].Add(1)
		f.remove(m)
	}
	finish()
	return out
}

// isPartial tells whether the event is a part of a message.
func isPartial(e *event.Event) bool {
	v, ok := e.Get(partialMessage)
	return ok && isTrue(v)
}

// isTrue tells whether a field of Docker is true: a text that begins with the
// word, as in Fluent Bit, or a boolean, of which Fluent Bit crashes.
func isTrue(v event.Value) bool {
	if s, ok := v.Str(); ok {
		return len(s) >= 4 && bytes.EqualFold(s[:4], []byte("true"))
	}
	t, _ := v.Bool()
	return t
}
