package tail

import (
	"fmt"
	"math"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/parser/multiline"
	"github.com/kagarilog/kagari/plugin"
)

// joiner puts the lines of one file together to records. It belongs to the
// reader. Offsets are those in the file, or in the text of a compressed file.
type joiner interface {
	// line takes a line that starts at an offset and adds the records to b that
	// get complete by it. b may alias the line.
	line(b *event.Batch, text []byte, at, ns int64)
	// end says that all lines of a read were given.
	end(b *event.Batch)
	// flush adds what is held: all of it, or what has been held for its time. at
	// is how far the file was read.
	flush(b *event.Batch, at, ns int64, all bool)
	// held returns where the first line that is held starts, and when flush is due
	// in nanoseconds since 1970. It is false if nothing is held.
	held() (first, due int64, ok bool)
}

var (
	_ joiner = (*streamJoiner)(nil)
	_ joiner = (*firstLineJoiner)(nil)
	_ joiner = (*dockerJoiner)(nil)
)

// joining says how lines are joined. Of the ways, the first that is set counts,
// as in Fluent Bit.
type joining struct {
	core *multiline.Joiner // multiline.parser

	firstLine plugin.Parser   // multiline
	parsers   []plugin.Parser // parser_1, parser_2 and so on
	flush     time.Duration

	docker      bool          // docker_mode
	dockerFirst plugin.Parser // nil for none
	dockerFlush time.Duration

	// hard is how many bytes a record of the old ways may have; what is longer goes
	// on in pieces. 0 is no limit.
	hard int

	truncated *plugin.Counter // of records
}

// newJoining looks up what the options name.
func newJoining(c *Config, env *plugin.Env) (j joining, err error) {
	if limit := env.Service.MultilineBufferLimit; limit > 0 {
		j.hard = int(max(limit, multiline.DefaultBufferLimit))
	}
	if c.Multiline {
		j.flush = min(max(c.MultilineFlush, time.Second), option.Forever)
		if j.firstLine, err = env.Parser(c.ParserFirstline); err != nil {
			return j, option.At("parser_firstline", fmt.Errorf("option \"parser_firstline\": %w", err))
		}
		for _, name := range c.ParserN {
			p, err := env.Parser(name)
			if err != nil {
				return j, fmt.Errorf("option \"parser_N\": %w", err)
			}
			j.parsers = append(j.parsers, p)
		}
	}
	if c.DockerMode {
		j.docker = true
		j.dockerFlush = option.Times(max(c.DockerModeFlush, 1), time.Second)
		if c.DockerModeParser != "" {
			if j.dockerFirst, err = env.Parser(c.DockerModeParser); err != nil {
				// Fluent Bit goes on without it, too.
				env.Log.Error("lines are joined without docker_mode_parser", "error", err)
				j.dockerFirst = nil
			}
		}
	}
	if len(c.MultilineParser) == 0 {
		return j, nil
	}
	var parsers []*multiline.Parser
	for _, name := range c.MultilineParser {
		p, err := env.Multiline(name)
		if err != nil {
			return j, option.At("multiline.parser", fmt.Errorf("option \"multiline.parser\": %w", err))
		}
		parsers = append(parsers, p)
	}
	if j.core, err = multiline.NewJoiner(parsers, multiline.Options{BufferLimit: env.Service.MultilineBufferLimit}); err != nil {
		return j, option.At("multiline.parser", fmt.Errorf("option \"multiline.parser\": %w", err))
	}
	return j, nil
}

// longest is how long lines are held at most.
func (j *joining) longest() time.Duration {
	if j.core != nil {
		return j.core.Timeout()
	}
	return max(j.flush, j.dockerFlush)
}

// isDue tells whether something is due by now. It is as well if that seems to be
// longer than lines are held, as the clock was set back.
func (j *joining) isDue(due, now int64) bool { return due <= now || due-now > int64(j.longest()) }

// newJoiner returns the joiner of a file, or nil.
func (in *Input) newJoiner(f *file) joiner {
	switch j := &in.joining; {
	case j.core != nil:
		return newStreamJoiner(in, f)
	case j.firstLine != nil:
		return newFirstLineJoiner(in, f)
	case j.docker:
		return &dockerJoiner{in: in, f: f}
	}
	return nil
}

// cut counts a record that was cut or goes on in pieces.
func (in *Input) cut(f *file, at int64) {
	in.log.Warn("a joined record is longer than multiline_buffer_limit and is cut", "file", f.path, "offset", at)
	in.joining.truncated.Add(1)
}

// streamJoiner joins with multiline parsers.
type streamJoiner struct {
	in *Input
	f  *file
	s  *multiline.Stream
	// at is where the line at hand starts, which is the offset that Fluent Bit
	// gives to the records that it makes complete.
	at int64
}

func newStreamJoiner(in *Input, f *file) *streamJoiner {
	j := &streamJoiner{in: in, f: f, s: in.joining.core.NewStream()}
	if in.extra > 0 {
		j.s.Emitted = func(e *event.Event, _ int64) { in.extend(e.Batch(), e, f, j.at) }
	}
	return j
}

func (j *streamJoiner) line(b *event.Batch, text []byte, at, ns int64) {
	j.at = at
	if j.s.Line(b, text, at, ns) {
		j.in.cut(j.f, at)
	}
}

func (j *streamJoiner) end(*event.Batch) {}

func (j *streamJoiner) flush(b *event.Batch, at, ns int64, all bool) {
	j.at = at
	if all {
		j.s.Flush(b, ns)
	} else {
		j.s.Expire(b, ns)
	}
}

func (j *streamJoiner) held() (first, due int64, ok bool) {
	if first, ok = j.s.Pending(); ok {
		due, _ = j.s.Deadline()
	}
	return first, due, ok
}

// holders is the files of which lines are held. It belongs to the reader.
type holders struct {
	files map[*file]struct{}
	due   int64 // when something is to be done next, or earlier
}

func newHolders() holders { return holders{files: map[*file]struct{}{}, due: math.MaxInt64} }

// note puts f where it belongs after its lines were taken.
func (h *holders) note(f *file) {
	if f.join == nil {
		return
	}
	_, due, held := f.join.held()
	f.holds.Store(held)
	if !held {
		delete(h.files, f)
		return
	}
	h.files[f] = struct{}{}
	h.due = min(h.due, due)
}

// wait is how long until something is due. most is how long lines are held: when
// the clock is set back, what is due is found then.
func (h *holders) wait(most time.Duration) time.Duration {
	if len(h.files) == 0 {
		return time.Hour
	}
	return min(max(time.Duration(h.due-time.Now().UnixNano()), 0), most)
}
