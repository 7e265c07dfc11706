package multiline

import (
	"math"
	"unicode/utf8"

	"github.com/kagarilog/kagari/event"
)

// Stream is the lines of one source on their way to records. Not safe for
// concurrent use.
//
// The methods that take a batch add the records that get complete to it, in
// order; the batch need not be the same each time. Nothing of a batch is kept.
// Positions are numbers that rise from line to line, such as offsets in a file,
// and now is the time in nanoseconds since 1970.
type Stream struct {
	// Emitted, if not nil, is called for each event that was added to a batch,
	// with the position of its first line. It may change the event but add none.
	Emitted func(e *event.Event, pos int64)

	joiner *Joiner
	groups [][]*group // by parser; the default group is the first, if it exists
	last   int        // the parser that took the latest line, or -1
	held   int        // how many groups hold something
	cri    criState
}

// part is a line on its way.
type part struct {
	record event.Value // nil for plain text, or if it is head, content and tail only
	// What is before and behind the value of key_content in the record; head is
	// nil for plain text.
	head, tail []byte
	foreign    bool // the record and metadata belong to another batch
	content    []byte
	subject    []byte // what match_string is compared with
	group      []byte // the value of key_group
	meta       event.Value
	time       int64 // 0 for now
	pos, now   int64
}

// verdict is what a parser makes of a line.
type verdict uint8

const (
	refused verdict = iota
	taken
	truncated // taken, but not as a whole
)

// Line takes a line without its line feed. As with [LineParser], the batch may
// alias line. It is true if the line was cut because of the limit of the buffer;
// the caller counts that.
func (s *Stream) Line(b *event.Batch, line []byte, pos, now int64) bool {
	v := refused
	if s.last >= 0 {
		v = s.tryLine(s.last, b, line, pos, now)
	}
	for i := 0; v == refused && i < len(s.joiner.uses); i++ {
		if i == s.last {
			continue
		}
		if v = s.tryLine(i, b, line, pos, now); v != refused {
			s.last = i
		}
	}
	if v == refused {
		s.Flush(b, now)
		return s.alone(b, line, pos, now)
	}
	return v == truncated
}

// Event takes a record with its time and metadata, and keeps nothing of it.
// e may be of b if it is not in b.Events any more. It is true if the record's
// text was cut because of the limit of the buffer.
func (s *Stream) Event(b *event.Batch, e *event.Event, pos, now int64) bool {
	p := part{record: e.Record(), foreign: e.Batch() != b, meta: e.Meta, time: e.Time, pos: pos, now: now}
	v := refused
	if s.last >= 0 {
		v = s.tryEvent(s.last, b, p)
	}
	for i := 0; v == refused && i < len(s.joiner.uses); i++ {
		if i == s.last {
			continue
		}
		if v = s.tryEvent(i, b, p); v != refused {
			s.last = i
		}
	}
	if v == refused {
		s.Flush(b, now)
		s.give(b, &p)
	}
	return v == truncated
}

// Flush adds all that is held to b.
func (s *Stream) Flush(b *event.Batch, now int64) { s.flush(b, math.MaxInt64, now) }

// Expire adds the records to b whose deadline has come. Call it when there are
// no more lines at hand: a record must not be cut only because its reader was
// held up.
func (s *Stream) Expire(b *event.Batch, now int64) {
	s.flush(b, now-int64(s.joiner.timeout), now)
}

// flush adds what is held since a time before or at since.
func (s *Stream) flush(b *event.Batch, since, now int64) {
	if s.held == 0 {
		return
	}
	for i := range s.groups {
		for _, g := range s.groups[i] {
			// A clock that was set back does not hold a record for long.
			if g != nil && g.held && (g.since <= since || g.since > now) {
				s.emit(b, g, now)
			}
		}
	}
}

// Deadline is when Expire has something to do next, in nanoseconds since 1970.
// It is false if nothing is held.
func (s *Stream) Deadline() (ns int64, ok bool) {
	first := s.lowest(func(g *group) int64 { return g.since })
	return first + int64(s.joiner.timeout), s.held > 0
}

// Pending is the lowest position of a line that is held. It is false if nothing
// is.
func (s *Stream) Pending() (pos int64, ok bool) {
	return s.lowest(func(g *group) int64 { return g.first }), s.held > 0
}

// Size is how much memory the stream holds, in bytes: that of incomplete records
// and what it keeps for others.
func (s *Stream) Size() int {
	n := 0
	for i := range s.groups {
		for _, g := range s.groups[i] {
			if g != nil {
				n += len(g.name) + cap(g.text) + cap(g.record) + g.meta.size()
			}
		}
	}
	return n
}

func (s *Stream) lowest(of func(g *group) int64) int64 {
	if s.held == 0 {
		return 0
	}
	low := int64(math.MaxInt64)
	for i := range s.groups {
		for _, g := range s.groups[i] {
			if g != nil && g.held {
				low = min(low, of(g))
			}
		}
	}
	return low
}

// tryLine offers a line to a parser.
func (s *Stream) tryLine(i int, b *event.Batch, line []byte, pos, now int64) verdict {
	u := &s.joiner.uses[i]
	p := part{pos: pos, now: now}
	switch {
	case u.line == nil:
		p.content, p.subject = line, line
		p.time = now
	case u.fast != nil && s.cri.scan(u.fast, line, &p):
	default:
		if !s.parse(u, b, line, &p) {
			return refused
		}
	}
	return s.join(i, b, &p)
}

// tryEvent offers a record to a parser.
func (s *Stream) tryEvent(i int, b *event.Batch, p part) verdict {
	u := &s.joiner.uses[i]
	if !p.find(u) {
		return refused
	}
	if u.line != nil {
		text := p.content
		if p.foreign {
			text = b.Bytes(text)
		}
		if !s.parse(u, b, text, &p) {
			return refused
		}
	}
	return s.join(i, b, &p)
}

// parse reads text with the line parser.
func (s *Stream) parse(u *use, b *event.Batch, text []byte, p *part) bool {
	n := len(b.Events)
	e := b.Add(0)
	ok := u.line.Parse(text, e)
	if ok {
		p.record, p.foreign = e.Record(), false
		if e.Time != 0 {
			p.time = e.Time
		}
	}
	b.Events = b.Events[:n]
	return ok && p.find(u)
}

// find looks up the keys of the parser in the record: of each the first that is
// text.
func (p *part) find(u *use) bool {
	if u.content == "" {
		return false
	}
	n, rest, err := event.ReadMapHeader(p.record)
	if err != nil {
		return false
	}
	found := false
	var pattern []byte
	p.group = nil
	for ; n > 0; n-- {
		var key, val event.Value
		if key, rest, err = event.Next(rest); err != nil {
			return false
		}
		if val, rest, err = event.Next(rest); err != nil {
			return false
		}
		if val.Kind() != event.KindString || key.Kind() != event.KindString {
			continue
		}
		name, _ := key.Str()
		text, _ := val.Str()
		if !found && string(name) == u.content {
			found = true
			p.content = text
			p.head = p.record[:len(p.record)-len(rest)-len(val)]
			p.tail = rest
		}
		if pattern == nil && u.keyPattern != "" && string(name) == u.keyPattern {
			pattern = text
		}
		if p.group == nil && u.keyGroup != "" && string(name) == u.keyGroup {
			p.group = text
		}
	}
	p.subject = p.content
	if pattern != nil {
		p.subject = pattern
	}
	return found
}

// join gives a line that the parser can read to the parser.
func (s *Stream) join(i int, b *event.Batch, p *part) verdict {
	if s.joiner.uses[i].kind == kindRegex {
		return s.joinRegex(i, b, p)
	}
	return s.joinParts(i, b, p)
}

// joinParts is join for the types endswith and equal.
func (s *Stream) joinParts(i int, b *event.Batch, p *part) verdict {
	u := &s.joiner.uses[i]
	matched := false
	switch {
	case u.kind == kindEqual:
		matched = string(p.subject) == u.match
	case len(p.subject) >= len(u.match):
		matched = string(p.subject[len(p.subject)-len(u.match):]) == u.match
	case p.head != nil:
		return refused // as in Fluent Bit; of text it loses the line
	case len(p.content) == 0:
		return taken // has no data
	}
	last := matched != u.negate
	g := s.touch(i, p)
	if last && (g == nil || !g.held) {
		s.single(u, b, p)
		return taken
	}
	if g == nil {
		g = s.group(i, b, p)
	}
	if hard := s.joiner.hard; g.held && hard > 0 && len(g.text)+len(p.content) >= hard {
		g.cut = true
		s.emit(b, g, p.now)
	}
	g.add(s, b, p)
	g.breakLine()
	g.text = append(g.text, p.content...)
	if last {
		s.emit(b, g, p.now)
	}
	return taken
}

// joinRegex is join for the type regex.
func (s *Stream) joinRegex(i int, b *event.Batch, p *part) verdict {
	u := &s.joiner.uses[i]
	g := s.touch(i, p)
	if g != nil && g.state != nil {
		for _, r := range g.state.next {
			if u.matches(r, p.content) {
				return s.continues(g, b, p, r)
			}
		}
	}
	r := u.start(p.content)
	if r == nil {
		return refused
	}
	if g == nil {
		g = s.group(i, b, p)
	} else {
		s.dropRepeated(g)
		s.emit(b, g, p.now)
	}
	g.state = r
	if r.ends && len(p.content) > 0 && (s.joiner.limit == 0 || len(p.content) <= s.joiner.limit) {
		s.single(u, b, p)
		g.repeat(s, b, p)
		return taken
	}
	g.add(s, b, p)
	if !g.cat(p.content, s.joiner.limit) {
		return truncated
	}
	return taken
}

// continues adds a line to the record of g. r is the rule that it matches.
func (s *Stream) continues(g *group, b *event.Batch, p *part, r *rule) verdict {
	s.dropRepeated(g)
	g.add(s, b, p)
	if n := len(g.text); n > 0 && g.text[n-1] != '\n' {
		g.text = append(g.text, '\n')
	}
	if len(p.content) == 0 {
		g.text = append(g.text, '\n')
	} else if !g.cat(p.content, s.joiner.limit) {
		// What follows is not part of the record any more.
		g.state = nil
		s.emit(b, g, p.now)
		return truncated
	}
	g.state = r
	if r.ends {
		s.emit(b, g, p.now)
		g.repeat(s, b, p)
	}
	return taken
}

// alone adds a line that no parser takes.
func (s *Stream) alone(b *event.Batch, line []byte, pos, now int64) bool {
	cut := clip(line, s.joiner.limit)
	p := part{content: cut, pos: pos, now: now}
	if len(cut) < len(line) {
		p.meta = truncatedMeta
	}
	s.single(&s.joiner.uses[0], b, &p)
	return len(cut) < len(line)
}

// single adds a line that is complete by itself.
func (s *Stream) single(u *use, b *event.Batch, p *part) {
	switch {
	case p.record != nil:
		s.give(b, p)
		return
	case p.head != nil:
		out := append(b.Arena(len(p.head)+len(p.content)+5), p.head...)
		out = event.AppendStringHeader(out, len(p.content))
		p.record = b.SetArena(append(out, p.content...))
		s.give(b, p)
		return
	}
	n := len(p.content)
	if n == 0 {
		return // as in Fluent Bit; such a line has no data
	}
	lf := u.lf && p.content[n-1] != '\n'
	if lf {
		n++
	}
	out := append(b.Arena(len(u.key)+n+6), 0x81)
	out = event.AppendStringHeader(append(out, u.key...), n)
	out = append(out, p.content...)
	if lf {
		out = append(out, '\n')
	}
	p.record = b.SetArena(out)
	s.give(b, p)
}

// give adds the record of p.
func (s *Stream) give(b *event.Batch, p *part) {
	e := b.Add(p.time)
	if e.Time == 0 {
		e.Time = p.now
	}
	if len(p.meta) > 1 {
		e.Meta = textMeta(b, p.meta)
	}
	if p.foreign {
		p.record = event.Value(b.Bytes(p.record))
	}
	e.SetRecord(p.record)
	if s.Emitted != nil {
		s.Emitted(e, p.pos)
	}
}

// clip cuts text to a limit, but not within a character.
func clip(text []byte, limit int) []byte {
	if limit == 0 || len(text) <= limit {
		return text
	}
	end := limit
	for end > 0 && limit-end < utf8.UTFMax-1 && !utf8.RuneStart(text[end]) {
		end--
	}
	if !utf8.RuneStart(text[end]) {
		end = limit // no text in UTF-8
	}
	return text[:end]
}
