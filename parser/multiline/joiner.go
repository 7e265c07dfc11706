package multiline

import (
	"errors"
	"fmt"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/timefmt"
)

// DefaultBufferLimit is the default of multiline_buffer_limit, in bytes.
const DefaultBufferLimit = 2 << 20

// minTimeout is the shortest flush timeout that Fluent Bit accepts.
const minTimeout = 500 * time.Millisecond

// Options says how a plugin uses its parsers.
type Options struct {
	// KeyContent replaces key_content of all parsers, if not empty.
	KeyContent string
	// BufferLimit is how many bytes of text a record of a regex parser may have;
	// what is beyond is cut off. 0 is no limit.
	BufferLimit int64
	// Timeout is after how much time an incomplete record is flushed. 0 stands
	// for the longest flush_timeout of the parsers.
	Timeout time.Duration
}

// Joiner joins lines with some parsers, which are tried in order. It is
// immutable and safe for concurrent use.
type Joiner struct {
	uses    []use
	limit   int // of the text of a record, for regex parsers; 0 for none
	hard    int // of what a group holds, for all types; 0 for none
	timeout time.Duration
}

// use is a parser as used by one joiner.
type use struct {
	*Parser
	content string          // key_content
	key     []byte          // the key of records made of plain text, encoded
	lf      bool            // records of plain text end with a line feed
	fast    *timefmt.Layout // of scanCRI; nil if the fast way is not for this parser
}

// NewJoiner returns a joiner of at least one parser. The error says that the
// timeout is shorter than half a second, which Fluent Bit refuses, too.
func NewJoiner(parsers []*Parser, o Options) (*Joiner, error) {
	if len(parsers) == 0 {
		return nil, errors.New("join lines: no multiline parser is given")
	}
	j := &Joiner{limit: int(max(o.BufferLimit, 0)), timeout: o.Timeout}
	if j.limit > 0 {
		j.hard = max(j.limit, DefaultBufferLimit)
	}
	for _, p := range parsers {
		u := use{Parser: p, content: p.keyContent, fast: p.cri}
		if o.KeyContent != "" {
			u.content = o.KeyContent
		}
		if u.content != criContent {
			u.fast = nil
		}
		u.lf = u.content == ""
		u.key = event.AppendString(nil, u.content)
		if u.lf {
			u.key = event.AppendString(nil, "log")
		}
		j.uses = append(j.uses, u)
		if o.Timeout == 0 {
			j.timeout = max(j.timeout, p.timeout)
		}
	}
	if j.timeout < minTimeout {
		return nil, fmt.Errorf("join lines: the flush timeout of %v is too short; use at least %v", j.timeout, minTimeout)
	}
	return j, nil
}

// Timeout is how long an incomplete record is held at most when Expire is
// called in time.
func (j *Joiner) Timeout() time.Duration { return j.timeout }

// NewStream returns the state for one more source.
func (j *Joiner) NewStream() *Stream {
	return &Stream{joiner: j, last: -1, groups: make([][]*group, len(j.uses))}
}
