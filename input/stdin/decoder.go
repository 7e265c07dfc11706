package stdin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/rawinput"
	"github.com/kagarilog/kagari/plugin"
)

// decoder turns what is read into events.
type decoder struct {
	*Input
	values rawinput.Values
	seen   int  // bytes of an unfinished line that were looked at
	skip   bool // up to the next newline nothing counts
}

// run emits what r gives until it ends. The error is that of r, io.EOF at its
// end, or of out.
func (d *decoder) run(ctx context.Context, r io.Reader, out plugin.Emitter) error {
	for {
		rest, err := rawinput.Pump(r, d.limit, func(buf []byte) (int, error) { return d.take(ctx, buf, out, false) })
		if errors.Is(err, rawinput.ErrTooLong) {
			d.stats.Reject("message_too_long", 1)
			d.log.Warn("something does not fit into buffer_size and is left out up to the end of its line", "begins", string(rest[:200]))
			d.forget()
			d.skip = true
			continue
		}
		if err != nil {
			return err
		}
		if _, err := d.take(ctx, rest, out, true); err != nil {
			return err
		}
		return io.EOF
	}
}

func (d *decoder) forget() {
	d.seen = 0
	d.values.Forget()
}

// take emits the complete records of buf and returns how much of it they take.
// At the end of the input there is nothing to wait for.
func (d *decoder) take(ctx context.Context, buf []byte, out plugin.Emitter, last bool) (used int, err error) {
	if d.skip {
		n := bytes.IndexByte(buf, '\n')
		if n < 0 {
			return len(buf), nil
		}
		d.skip = false
		used = n + 1
	}
	if last {
		d.forget()
	}
	b := event.NewBatch(d.tag)
	now := time.Now().UnixNano()
	if d.parser != nil {
		used += d.lines(b, buf[used:], now, last)
	} else {
		used += d.json(b, buf[used:], now, last)
	}
	if len(b.Events) == 0 {
		b.Free()
		return used, nil
	}
	n := len(b.Events)
	if err = out.Emit(ctx, b); err != nil {
		d.stats.Reject("not_taken", n)
		d.log.Error("records are lost: the router does not take them any more", "records", n, "error", err)
	}
	return used, err
}

// lines parses lines. An empty one makes no record.
func (d *decoder) lines(b *event.Batch, data []byte, now int64, last bool) (used int) {
	for used < len(data) {
		n := bytes.IndexByte(data[used+d.seen:], '\n')
		end, next := used+d.seen+n, used+d.seen+n+1
		if n < 0 {
			d.seen = len(data) - used
			if !last {
				return used
			}
			end, next = len(data), len(data)
		}
		d.seen = 0
		if line := data[used:end]; len(line) > 0 {
			d.line(b, line, now)
		}
		used = next
	}
	return used
}

func (d *decoder) line(b *event.Batch, line []byte, now int64) {
	e := b.Add(now)
	if !d.parser.Parse(b.Bytes(line), e) {
		b.Events = b.Events[:len(b.Events)-1]
		d.stats.Reject("parse_failed", 1)
		d.log.Debug("a line does not fit the parser", "line", string(line[:min(len(line), 200)]))
		return
	}
	if e.Time == 0 {
		e.Time = now
	}
}

// json reads JSON values: records, or records with their time.
func (d *decoder) json(b *event.Batch, data []byte, now int64, last bool) (used int) {
	for {
		v, n, err := d.values.Next(b, data[used:])
		if err == io.ErrUnexpectedEOF {
			used += n
			if rest := data[used:]; last && len(rest) > 0 {
				d.stats.Reject("unfinished_message", 1)
				d.log.Warn("unfinished JSON at the end of standard input is dropped", "text", string(rest[:min(len(rest), 200)]))
			}
			return used
		}
		text := data[used : used+n]
		used += n
		if err != nil {
			d.stats.Reject("invalid_json", 1)
			d.log.Warn("invalid JSON is skipped", "error", err, "text", string(text[:min(len(text), 200)]))
			continue
		}
		if !add(b, v, now) {
			d.stats.Reject("not_a_record", 1)
			d.log.Error("a JSON value is neither an object nor an array of a time and an object", "value", string(text[:min(len(text), 200)]))
		}
	}
}

// add adds the event of a JSON value, which is one of
//
//	{record}
//	[time, {record}]
//	[[time, {metadata}], {record}]
//
// with the time as a number of seconds.
func add(b *event.Batch, v event.Value, now int64) bool {
	if v.Kind() == event.KindMap {
		b.Add(now).SetRecord(v)
		return true
	}
	head, record, ok := pair(v)
	if !ok || record.Kind() != event.KindMap {
		return false
	}
	var meta event.Value
	if head.Kind() == event.KindArray {
		if head, meta, ok = pair(head); !ok || meta.Kind() != event.KindMap {
			return false
		}
	}
	ns, ok := nanoseconds(head)
	if !ok {
		return false
	}
	e := b.Add(ns)
	e.SetRecord(record)
	if len(meta) > 1 {
		e.Meta = meta
	}
	return true
}

// pair splits an array of two.
func pair(v event.Value) (first, second event.Value, ok bool) {
	n, rest, err := event.ReadArrayHeader(v)
	if err != nil || n != 2 {
		return nil, nil, false
	}
	if first, rest, err = event.Next(rest); err != nil {
		return nil, nil, false
	}
	second, _, err = event.Next(rest)
	return first, second, err == nil
}

// nanoseconds reads seconds since the Unix epoch that an event can have.
func nanoseconds(v event.Value) (int64, bool) {
	const latest = 1<<32 - 1 // seconds in the forward protocol
	switch v.Kind() {
	case event.KindInt:
		sec, _ := v.Int()
		return sec * 1e9, sec >= 0 && sec <= latest
	case event.KindFloat:
		f, _ := v.Float()
		if !(f >= 0 && f <= latest) {
			return 0, false
		}
		sec := int64(f)
		return sec*1e9 + int64((f-float64(sec))*1e9), true
	}
	return 0, false
}
