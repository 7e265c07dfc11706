package pipetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/parser/multiline"
)

// Join joins lines with multiline parsers and tells which lines became which
// record. It has one user at a time.
type Join struct {
	stream *multiline.Stream
	batch  *event.Batch
	line   int // the number of the latest one
	now    int64
	firsts []int64 // of the records of the batch
}

// Joined is a record with the lines that it was made of. Other records may have
// lines in between, if a parser keeps groups apart.
type Joined struct {
	First, Last int // numbers of lines, from 1
	Record      event.Value
	Time        int64
	HasTime     bool
}

// NewJoin makes a Join with parsers that are tried in order.
func NewJoin(parsers []*multiline.Parser) (*Join, error) {
	joiner, err := multiline.NewJoiner(parsers, multiline.Options{BufferLimit: multiline.DefaultBufferLimit})
	if err != nil {
		return nil, err
	}
	j := &Join{stream: joiner.NewStream(), batch: event.NewBatch(""), now: time.Now().UnixNano()}
	j.stream.Emitted = func(_ *event.Event, pos int64) { j.firsts = append(j.firsts, pos) }
	return j, nil
}

// Line takes the next line, which it does not keep, and returns the records
// that are complete now.
func (j *Join) Line(line []byte) []Joined {
	j.line++
	j.stream.Line(j.batch, j.batch.Bytes(line), int64(j.line), j.now)
	last := j.line
	if pending, ok := j.stream.Pending(); ok && pending == int64(j.line) {
		last-- // The line begins a record of its own.
	}
	return j.take(last)
}

// End returns the records that were not complete yet.
func (j *Join) End() []Joined {
	j.stream.Flush(j.batch, j.now)
	return j.take(j.line)
}

func (j *Join) take(last int) []Joined {
	if len(j.firsts) != len(j.batch.Events) {
		panic(fmt.Sprintf("BUG: %d records, but the first lines of %d", len(j.batch.Events), len(j.firsts)))
	}
	var out []Joined
	for i := range j.batch.Events {
		e := &j.batch.Events[i]
		first := int(j.firsts[i])
		// A line that no parser took ended the record in front of it.
		end := last
		if i+1 < len(j.firsts) && int(j.firsts[i+1]) > first {
			end = int(j.firsts[i+1]) - 1
		}
		out = append(out, Joined{first, max(first, end), slices.Clone(e.Record()), e.Time, e.Time != j.now})
	}
	j.firsts = j.firsts[:0]
	j.batch.Free()
	j.batch = event.NewBatch("")
	return out
}
