package tail

import (
	"bytes"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/parser/multiline"
)

// dockerJoiner joins the lines of the option docker_mode: JSON objects with a
// key log. Their texts are put together until one ends with a line feed, or with
// docker_mode_parser up to the next first line; all else is that of the last
// line. Other lines are records of their own.
type dockerJoiner struct {
	in *Input
	f  *file

	holds    bool
	complete bool   // text ends with a line feed
	started  bool   // there was a line that docker_mode_parser matches
	text     []byte // as written, with escapes
	latest   []byte // the last line, of which text replaces from to to
	from, to int
	first    int64 // where the first line starts
	since    int64 // when the last was read
	cut      bool
}

func (j *dockerJoiner) line(b *event.Batch, text []byte, at, ns int64) {
	parser := j.in.joining.dockerFirst
	if parser != nil {
		_, _, matches := try(parser, b, text)
		j.started = j.started || matches
		if j.holds && j.complete && (matches || !j.started) {
			j.emit(b, ns)
		}
	}
	from, to, ok := logText(text)
	if !ok {
		j.emit(b, ns)
		j.in.parsed(b, j.f, text, text, at, ns)
		return
	}
	complete := endsLine(text[from:to])
	if !j.holds && complete && parser == nil {
		j.record(b, text, at, ns)
		return
	}
	if hard := j.in.joining.hard; j.holds && hard > 0 && len(j.text)+to-from > hard {
		j.in.cut(j.f, j.first)
		j.cut = true
		j.emit(b, ns)
		j.cut = true
	}
	if !j.holds {
		j.holds, j.first = true, at
	}
	j.text = append(j.text, text[from:to]...)
	j.latest = append(j.latest[:0], text...)
	j.from, j.to, j.complete, j.since = from, to, complete, ns
	if complete && parser == nil {
		j.emit(b, ns)
	}
}

// record adds the record of a joined line.
func (j *dockerJoiner) record(b *event.Batch, line []byte, at, ns int64) {
	n := len(b.Events)
	j.in.parsed(b, j.f, line, line, at, ns)
	e := &b.Events[n]
	if older := j.in.cfg.IgnoreOlder; older > 0 && j.in.parser != nil && ns-int64(older) > e.Time {
		j.in.stats.Drop("older_than_ignore_older", 1)
		b.Events = b.Events[:n]
	} else if j.cut {
		e.Meta = multiline.Truncated()
	}
}

func (j *dockerJoiner) emit(b *event.Batch, ns int64) {
	if j.holds {
		out := append(b.Arena(len(j.latest)+len(j.text)), j.latest[:j.from]...)
		out = append(out, j.text...)
		j.record(b, b.SetArena(append(out, j.latest[j.to:]...)), j.first, ns)
	}
	j.holds, j.cut = false, false
	j.text, j.latest = emptied(j.text), emptied(j.latest)
}

func (j *dockerJoiner) end(*event.Batch) {}

func (j *dockerJoiner) flush(b *event.Batch, _, ns int64, all bool) {
	if _, due, ok := j.held(); ok && (all || j.in.joining.isDue(due, ns)) {
		j.emit(b, ns)
	}
}

func (j *dockerJoiner) held() (first, due int64, ok bool) {
	return j.first, j.since + int64(j.in.joining.dockerFlush), j.holds
}

// logText returns where the text of the key log is in a JSON object, without
// its quotes. It is false if there is none, or the line is something else.
func logText(js []byte) (from, to int, ok bool) {
	if len(js) == 0 || js[0] != '{' {
		return 0, 0, false
	}
	i := blanks(js, 1)
	for i < len(js) && js[i] == '"' {
		key := i + 1
		end := stringEnd(js, key)
		if end < 0 {
			return 0, 0, false
		}
		isLog := !ok && string(js[key:end]) == "log"
		if i = blanks(js, end+1); i >= len(js) || js[i] != ':' {
			return 0, 0, false
		}
		i = blanks(js, i+1)
		start := i
		if i = valueEnd(js, i); i < 0 {
			return 0, 0, false
		}
		if isLog {
			if js[start] != '"' {
				return 0, 0, false
			}
			from, to, ok = start+1, i-1, true
		}
		if i = blanks(js, i); i >= len(js) || js[i] != ',' {
			break
		}
		if i = blanks(js, i+1); i >= len(js) || js[i] != '"' {
			return 0, 0, false
		}
	}
	if i >= len(js) || js[i] != '}' || blanks(js, i+1) < len(js) {
		return 0, 0, false
	}
	return from, to, ok
}

// blanks skips white space.
func blanks(js []byte, i int) int {
	for i < len(js) && (js[i] == ' ' || js[i] == '\t' || js[i] == '\r' || js[i] == '\n') {
		i++
	}
	return i
}

// stringEnd returns the offset of the quote that ends a string, or -1. i is
// behind the quote that it begins with.
func stringEnd(js []byte, i int) int {
	for {
		n := bytes.IndexByte(js[i:], '"')
		if n < 0 {
			return -1
		}
		slashes := 0
		for k := i + n; k > i && js[k-1] == '\\'; k-- {
			slashes++
		}
		i += n
		if slashes%2 == 0 {
			return i
		}
		i++
	}
}

// valueEnd returns the offset behind a value, or -1 if it does not end.
func valueEnd(js []byte, i int) int {
	for depth, start := 0, i; i < len(js); {
		switch c := js[i]; {
		case c == '"':
			if i = stringEnd(js, i+1); i < 0 {
				return -1
			}
			i++
		case c == '{' || c == '[':
			depth++
			i++
		case (c == '}' || c == ']') && depth > 0:
			depth--
			i++
		case depth > 0:
			i++
			continue
		default:
			for i < len(js) && bytes.IndexByte([]byte(",}] \t"), js[i]) < 0 {
				i++
			}
			if i == start {
				return -1
			}
		}
		if depth == 0 {
			return i
		}
	}
	return -1
}

// endsLine tells whether escaped text ends with a line feed.
func endsLine(text []byte) bool {
	n := len(text) - 1
	if n < 1 || text[n] != 'n' {
		return false
	}
	slashes := 0
	for n > 0 && text[n-1] == '\\' {
		slashes++
		n--
	}
	return slashes%2 == 1
}
