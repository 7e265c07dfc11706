package multiline

import (
	"bytes"
	"slices"

	"github.com/kagarilog/kagari/event"
)

const (
	// maxGroups is how many groups a parser may have in a stream beside the
	// default one.
	maxGroups = 64
	// keepText is up to which size the memory of a group is kept for the next
	// record.
	keepText = 8 << 10
)

// group is a record while it is put together, of the lines of a stream that
// have the same value of key_group.
type group struct {
	use   *use
	name  []byte
	state *rule // of the latest line, also when its record was flushed; nil for none

	held  bool
	text  []byte // the joined content
	first int64  // position of the first line
	since int64  // when the first line came
	time  int64  // of the record; 0 for now
	cut   bool   // the limit was reached
	again bool   // what is held went out already

	// The record of the first line without the value of key_content, and where
	// that belongs. It is empty for plain text.
	record []byte
	at     int

	meta metadata
}

// find returns the group of a name, or nil. An empty name is the default group.
func (s *Stream) find(i int, name []byte) *group {
	groups := s.groups[i]
	if len(groups) == 0 {
		return nil
	}
	if len(name) == 0 {
		return groups[0]
	}
	for _, g := range groups[1:] {
		if bytes.Equal(g.name, name) {
			return g
		}
	}
	return nil
}

// touch returns the group of p, or nil if there is none and no room for it. It
// makes groups also for lines that need none, because groups are flushed in the
// order in which they were made.
func (s *Stream) touch(i int, p *part) *group {
	if g := s.find(i, p.group); g != nil {
		return g
	}
	if len(s.groups[i]) > maxGroups && len(p.group) > 0 {
		return nil
	}
	if len(s.groups[i]) == 0 {
		s.groups[i] = append(s.groups[i], nil)
	}
	g := &group{use: &s.joiner.uses[i], name: bytes.Clone(p.group)}
	if len(p.group) == 0 {
		s.groups[i][0] = g
	} else {
		s.groups[i] = append(s.groups[i], g)
	}
	return g
}

// group returns the group of p, for which the oldest one may have to go.
func (s *Stream) group(i int, b *event.Batch, p *part) *group {
	g := s.touch(i, p)
	if g == nil {
		s.evict(i, b, p.now)
		g = s.touch(i, p)
	}
	return g
}

// evict flushes and forgets the named group with the oldest line.
func (s *Stream) evict(i int, b *event.Batch, now int64) {
	old := 1
	for n, g := range s.groups[i] {
		if n > 0 && g.first < s.groups[i][old].first {
			old = n
		}
	}
	s.emit(b, s.groups[i][old], now)
	s.groups[i] = slices.Delete(s.groups[i], old, old+1)
}

// add takes all of p but its content. A group with too much metadata is given
// out before, as a record that is cut.
func (g *group) add(s *Stream, b *event.Batch, p *part) {
	if hard := s.joiner.hard; hard > 0 && g.held && g.meta.size()+len(p.meta) > hard {
		g.cut = true
		s.emit(b, g, p.now)
	}
	if !g.held {
		g.held = true
		s.held++
		g.first, g.since, g.time = p.pos, p.now, p.time
		if p.head != nil {
			g.record = append(append(g.record[:0], p.head...), p.tail...)
			g.at = len(p.head)
		}
	} else if p.head == nil {
		g.time = p.time // as in Fluent Bit, text has the time of its last line
	}
	g.meta.add(p.meta)
}

// repeat holds the record of the last line of a joined record, which went out just
// now, once more. Fluent Bit gives it out, too, unless a line follows that belongs
// to a record of the same parser: an oversight in package_content, flb_ml.c, that
// its users see in the traces of Python. Plain text is not repeated.
func (g *group) repeat(s *Stream, b *event.Batch, p *part) {
	if p.head == nil {
		return
	}
	g.add(s, b, p)
	g.cat(p.content, s.joiner.limit)
	g.again = true
}

// dropRepeated forgets what repeat holds.
func (s *Stream) dropRepeated(g *group) {
	if g.again {
		g.held = false
		s.held--
		g.reset()
	}
}

// cat appends text up to a limit, and is false if it does not fit.
func (g *group) cat(text []byte, limit int) bool {
	fits := text
	if limit > 0 {
		if room := limit - len(g.text); room <= 0 {
			fits = nil
		} else {
			fits = clip(text, room)
		}
	}
	g.text = append(g.text, fits...)
	g.cut = g.cut || len(fits) < len(text)
	return len(fits) == len(text)
}

// breakLine ends a line of plain text before the next one.
func (g *group) breakLine() {
	if n := len(g.text); g.use.lf && n > 0 && g.text[n-1] != '\n' {
		g.text = append(g.text, '\n')
	}
}

// emit adds the record of a group to b and leaves the group empty. The state
// stays: lines that follow may still continue.
func (s *Stream) emit(b *event.Batch, g *group, now int64) {
	if !g.held {
		return
	}
	u := g.use
	g.held = false
	s.held--
	var record event.Value
	if len(g.record) > 0 {
		out := append(b.Arena(len(g.record)+len(g.text)+5), g.record[:g.at]...)
		out = append(event.AppendStringHeader(out, len(g.text)), g.text...)
		record = b.SetArena(append(out, g.record[g.at:]...))
	} else if g.breakLine(); len(g.text) > 0 {
		out := append(b.Arena(len(u.key)+len(g.text)+6), 0x81)
		out = event.AppendStringHeader(append(out, u.key...), len(g.text))
		record = b.SetArena(append(out, g.text...))
	}
	if record != nil {
		e := b.Add(g.time)
		if e.Time == 0 {
			e.Time = now
		}
		e.Meta = g.meta.value(b, g.cut)
		e.SetRecord(record)
		if s.Emitted != nil {
			s.Emitted(e, g.first)
		}
	}
	g.reset()
}

func (g *group) reset() {
	g.cut, g.again = false, false
	g.text, g.record = emptied(g.text), emptied(g.record)
	g.meta.reset()
}

// emptied keeps small memory for reuse.
func emptied(b []byte) []byte {
	if cap(b) > keepText {
		return nil
	}
	return b[:0]
}
