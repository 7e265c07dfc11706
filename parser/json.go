package parser

import (
	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
)

// jsonFormat is Format json: the text is one JSON object, optionally followed
// by what is no JSON.
type jsonFormat struct {
	parser *Parser
	time   *timeField
}

func newJSON(p *Parser) (format, []problem) {
	var ps []problem
	if p.spec.Types != "" {
		ps = append(ps, problem{key: "types", severity: option.Advice, message: "option \"types\" has no effect with format json, whose values have types of their own"})
	}
	// The time may be in a field that a decoder makes.
	p.decodes = true
	return &jsonFormat{parser: p, time: p.time}, ps
}

func (j *jsonFormat) parse(line []byte, e *event.Event) bool {
	if b := event.SkipJSONSpace(line); len(b) == 0 || b[0] != '{' {
		return false
	}
	batch := e.Batch()
	arena := batch.Arena(len(line) + 64)
	out, ok := appendJSONObject(arena, line)
	if !ok {
		return false
	}
	if j.parser.decoders != nil {
		record := j.parser.decoders.decode(batch, batch.SetArena(out))
		if j.time != nil {
			cut := j.takeTime(record, e)
			record = record[cut.from:cut.to]
		}
		e.SetRecord(record)
		return true
	}
	if j.time == nil {
		e.SetRecord(batch.SetArena(out))
		return true
	}
	start := len(arena)
	cut := j.takeTime(out[start:], e)
	record := batch.SetArena(out[:start+cut.to])
	e.SetRecord(record[cut.from:])
	return true
}

// appendJSONObject appends the object at the start of text as a map. A second
// value behind it means that the text is not one record; anything else there is
// ignored.
func appendJSONObject(dst, text []byte) ([]byte, bool) {
	out, rest, err := event.AppendJSON(dst, text)
	if err != nil {
		return dst, false
	}
	if rest = event.SkipJSONSpace(rest); len(rest) > 0 {
		if _, _, err := event.AppendJSON(out, rest); err == nil {
			return dst, false
		}
	}
	return out, true
}

// span is a part of a slice.
type span struct{ from, to int }

// takeTime sets the time of e from the time field of a packed map, and takes
// the field out unless it is to be kept. It works in place and returns which
// part of record is the map now. A field that is no string or does not fit the
// layout stays. Of several with the name the first one counts.
func (j *jsonFormat) takeTime(record []byte, e *event.Event) span {
	whole := span{0, len(record)}
	n, rest, err := event.ReadMapHeader(record)
	if err != nil {
		return whole
	}
	head := len(record) - len(rest)
	var val event.Value
	var from int
	for left := n; ; left-- {
		if left == 0 {
			return whole
		}
		from = len(record) - len(rest)
		var key event.Value
		if key, rest, err = event.Next(rest); err != nil {
			return whole
		}
		if val, rest, err = event.Next(rest); err != nil {
			return whole
		}
		if name, _ := key.Str(); string(name) == j.time.key {
			break
		}
	}
	if val.Kind() != event.KindString {
		return whole
	}
	text, _ := val.Str()
	ns, err := j.time.read(text)
	if err != nil {
		j.parser.misfit(text, err)
		return whole
	}
	if ns != 0 {
		e.Time = ns
	}
	if j.time.keep {
		return whole
	}
	return cutField(record, n, head, from, len(record)-len(rest))
}

// cutField takes the bytes from..to, one entry, out of a packed map of n
// entries whose header is head bytes long. It moves the shorter of the parts
// before and behind the entry.
func cutField(record []byte, n, head, from, to int) span {
	var buf [5]byte
	header := event.AppendMapHeader(buf[:0], n-1)
	out := span{0, len(record)}
	if from-head <= len(record)-to {
		copy(record[to-(from-head):to], record[head:from])
		head += to - from
	} else {
		copy(record[from:], record[to:])
		out.to -= to - from
	}
	// With one entry less the header may have become shorter.
	out.from = head - len(header)
	copy(record[out.from:], header)
	return out
}
