package tail

import (
	"github.com/kagarilog/kagari/event"
)

// A record of an unparsed line is
//
//	{path_key: path, offset_key: offset, key: line}
//
// and the same fields come behind those of a parser. All but the offset and
// the line is encoded once per file.

// encode sets what every record of f has in common, and how its lines are
// joined.
func (in *Input) encode(f *file) {
	if in.pathKey != nil {
		f.fields = append(f.fields, in.pathKey...)
		f.fields = event.AppendString(f.fields, f.path)
	}
	f.fields = append(f.fields, in.offset...)
	f.raw = append(event.AppendMapHeader(nil, in.extra+1), f.fields...)
	if in.offset == nil {
		f.raw = append(f.raw, in.lineKey...)
	}
	f.join = in.newJoiner(f)
}

// text returns a line as UTF-8, as far as an encoding was given. at is where
// the line starts.
func (in *Input) text(b *event.Batch, f *file, line []byte, at int64) []byte {
	switch {
	case f.unicode != plainText:
		return b.SetArena(f.unicode.appendUTF8(b.Arena(len(line)*3/2+8), line, at))
	case in.enc != nil:
		return b.SetArena(appendDecoded(b.Arena(2*len(line)+64), line, in.decoder))
	}
	return line
}

// record adds the record of a line to b. at is where the line starts, ns the
// time if it has none of its own.
func (in *Input) record(b *event.Batch, f *file, line []byte, at, ns int64) {
	line = in.text(b, f, line, at)
	text := line
	if n := len(line); n >= 2 && line[n-1] == '\r' {
		text = line[:n-1]
	}
	if f.join != nil {
		f.join.line(b, text, at, ns)
		return
	}
	in.parsed(b, f, text, line, at, ns)
}

// parsed adds the record that the parser makes of text. line is that with its
// carriage return.
func (in *Input) parsed(b *event.Batch, f *file, text, line []byte, at, ns int64) {
	if in.parser == nil {
		in.setRaw(b, b.Add(ns), f, text, at)
		return
	}
	e := b.Add(ns)
	if !in.parser.Parse(text, e) {
		const show = 128
		in.log.Warn("a line does not fit the parser and stays text", "file", f.path, "offset", at, "line", string(text[:min(len(text), show)]))
		// A line that does not fit keeps its carriage return, as in Fluent Bit.
		in.setRaw(b, e, f, line, at)
		return
	}
	if in.extra > 0 {
		in.extend(b, e, f, at)
	}
}

// setRaw makes the record of a line that no parser has read.
func (in *Input) setRaw(b *event.Batch, e *event.Event, f *file, text []byte, at int64) {
	out := append(b.Arena(len(f.raw)+len(text)+len(in.lineKey)+16), f.raw...)
	if in.offset != nil {
		out = event.AppendUint(out, uint64(at))
		out = append(out, in.lineKey...)
	}
	out = event.AppendStringHeader(out, len(text))
	out = append(out, text...)
	e.SetRecord(b.SetArena(out))
}

// extend adds the path and the offset to a parsed record.
func (in *Input) extend(b *event.Batch, e *event.Event, f *file, at int64) {
	record := e.Record()
	n, body, err := event.ReadMapHeader(record)
	if err != nil {
		panic("BUG: the parser made a record that is no map: " + err.Error())
	}
	out := event.AppendMapHeader(b.Arena(len(record)+len(f.fields)+16), n+in.extra)
	out = append(out, body...)
	out = append(out, f.fields...)
	if in.offset != nil {
		out = event.AppendUint(out, uint64(at))
	}
	e.SetRecord(b.SetArena(out))
}
