package tail

import (
	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/parser/multiline"
	"github.com/kagarilog/kagari/plugin"
)

// firstLineJoiner joins the lines of the option multiline. A record is
//
//	{path_key: path, fields of the first line, fields of parser_1 … lines}
//
// and a line that no parser reads is added to the last value so far, if that is
// text.
type firstLineJoiner struct {
	in   *Input
	f    *file
	path []byte // encoded: path_key and path

	// A record while it is put together.
	holds  bool
	ignore bool   // the record is older than ignore_older
	count  int    // of fields
	fields []byte // encoded: all fields but the last value if that is open
	open   bool   // whether the last value is text, which is then in text
	append bool   // whether lines that no parser reads are added at all
	text   []byte
	name   []byte // encoded: the key of text
	first  int64  // where its first line starts
	since  int64  // when that was read
	time   int64
	cut    bool

	loose []int // places in the batch of the lines of this read that belong to no record
}

func newFirstLineJoiner(in *Input, f *file) *firstLineJoiner {
	j := &firstLineJoiner{in: in, f: f}
	if in.pathKey != nil {
		j.path = event.AppendString(append(j.path, in.pathKey...), f.path)
	}
	return j
}

func (j *firstLineJoiner) line(b *event.Batch, text []byte, at, ns int64) {
	joining := &j.in.joining
	if record, time, ok := try(joining.firstLine, b, text); ok {
		j.emit(b)
		j.start(record, time, at, ns)
		return
	}
	if j.ignore {
		j.in.stats.Drop("older_than_ignore_older", 1)
		return
	}
	for _, p := range joining.parsers {
		record, time, ok := try(p, b, text)
		if !ok {
			continue
		}
		if !j.holds {
			// Fluent Bit loses what comes before the first line of a record.
			j.start(record, time, at, ns)
			j.emit(b)
			return
		}
		j.closeText()
		if hard := joining.hard; hard > 0 && len(j.fields)+len(record) > hard {
			j.continueAnew(b, at, ns)
		}
		j.add(record)
		return
	}
	if !j.holds || !j.append || !j.open {
		if len(joining.parsers) == 0 {
			j.emit(b) // nothing can be added any more
		}
		j.loose = append(j.loose, len(b.Events))
		j.in.setRaw(b, b.Add(ns), j.f, text, at)
		return
	}
	if hard := joining.hard; hard > 0 && len(j.fields)+len(j.text)+len(text) > hard {
		j.continueAnew(b, at, ns)
		j.fields, j.count, j.open = append(j.fields, j.name...), 1, true
		j.text = append(j.text, text...)
		return
	}
	j.text = append(append(j.text, '\n'), text...)
}

// end puts the lines that belong to no record behind the records of the same
// read, as Fluent Bit does.
func (j *firstLineJoiner) end(b *event.Batch) {
	if len(j.loose) == 0 {
		return
	}
	to := j.loose[0]
	behind := make([]event.Event, 0, len(j.loose))
	for from := to; from < len(b.Events); from++ {
		if n := len(behind); n < len(j.loose) && j.loose[n] == from {
			behind = append(behind, b.Events[from])
			continue
		}
		b.Events[to] = b.Events[from]
		to++
	}
	copy(b.Events[to:], behind)
	j.loose = j.loose[:0]
}

// try returns what a parser makes of a line; time is 0 for none.
func try(p plugin.Parser, b *event.Batch, text []byte) (record event.Value, time int64, ok bool) {
	n := len(b.Events)
	e := b.Add(0)
	if ok = p.Parse(text, e); ok {
		record, time = e.Record(), e.Time
	}
	b.Events = b.Events[:n]
	return record, time, ok
}

// start begins a record.
func (j *firstLineJoiner) start(record event.Value, time, at, ns int64) {
	if time == 0 {
		time = ns
	}
	if older := j.in.cfg.IgnoreOlder; older > 0 && ns-int64(older) > time {
		j.ignore = true
		j.in.stats.Drop("older_than_ignore_older", 1)
		return
	}
	j.holds, j.ignore = true, false
	j.first, j.since, j.time = at, ns, time
	j.add(record)
	j.append = j.open
}

// add adds the fields of a line.
func (j *firstLineJoiner) add(record event.Value) {
	j.open = false
	for key, val := range record.Pairs() {
		j.closeText()
		j.count++
		j.fields = append(j.fields, key...)
		if text, ok := val.Str(); ok && val.Kind() == event.KindString {
			j.open = true
			j.name = append(j.name[:0], key...)
			j.text = append(j.text[:0], text...)
			continue
		}
		j.fields = append(j.fields, val...)
	}
}

// closeText ends the text so that other fields may follow.
func (j *firstLineJoiner) closeText() {
	if j.open {
		j.fields = event.AppendString(j.fields, j.text)
		j.open = false
	}
}

// continueAnew gives out a record that is too long and starts one for the rest,
// which has no fields yet.
func (j *firstLineJoiner) continueAnew(b *event.Batch, at, ns int64) {
	j.in.cut(j.f, j.first)
	j.cut = true
	appends := j.append
	j.emit(b)
	j.holds, j.cut, j.append = true, true, appends
	j.first, j.since = at, ns
}

// emit adds the record to b.
func (j *firstLineJoiner) emit(b *event.Batch) {
	if j.holds {
		j.closeText()
		n := j.count
		if len(j.path) > 0 {
			n++
		}
		e := b.Add(j.time)
		out := event.AppendMapHeader(b.Arena(len(j.path)+len(j.fields)+8), n)
		out = append(append(out, j.path...), j.fields...)
		e.SetRecord(b.SetArena(out))
		if j.cut {
			e.Meta = multiline.Truncated()
		}
	}
	j.holds, j.ignore, j.open, j.append, j.cut, j.count = false, false, false, false, false, 0
	j.fields, j.text = emptied(j.fields), emptied(j.text)
}

// emptied keeps memory for the next record unless it is large.
func emptied(b []byte) []byte {
	const keep = 64 << 10
	if cap(b) > keep {
		return nil
	}
	return b[:0]
}

func (j *firstLineJoiner) flush(b *event.Batch, _, ns int64, all bool) {
	if _, due, ok := j.held(); ok && (all || j.in.joining.isDue(due, ns)) {
		j.emit(b)
	}
}

func (j *firstLineJoiner) held() (first, due int64, ok bool) {
	return j.first, j.since + int64(j.in.joining.flush), j.holds
}
