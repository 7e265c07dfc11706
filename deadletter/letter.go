package deadletter

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/kagarilog/kagari/event"
)

// MaxLine is how long a line may be, in bytes. A letter that would be longer
// is written without its record in JSON, which "event" holds too.
const MaxLine = 64 << 20

// ErrTooLong says that a letter does not fit a line of MaxLine bytes.
var ErrTooLong = errors.New("the letter is too long")

// Cause is why events became letters.
type Cause struct {
	Input, Output string // the names of the instances; Input may be empty
	Chunk         string // the id of the chunk, as the log has it
	Reason        string // such as retries_exhausted
	Attempts      int
	FirstError    string
	Error         string // the last
	// Processed is set when the output's own processors have run over the events.
	Processed bool
}

// Letter is one event, or one message of metrics, that an output gave up.
type Letter struct {
	Cause
	ID      string
	GivenUp time.Time
	Tag     string
	Signal  event.Signal
	// Entry is [[time, metadata], record] of an event, as a chunk holds it, and the
	// OTLP message of metrics.
	Entry []byte
}

// Time is the time of an event in nanoseconds since the Unix epoch.
func (l *Letter) Time() int64 {
	if l.Signal != event.Logs {
		return l.GivenUp.UnixNano()
	}
	cur := event.NewChunk(event.ChunkID{}, "", event.Logs, 1, l.Entry).Cursor()
	cur.Next()
	return cur.Time
}

// Append appends the letter's line. scratch is used and returned for the next
// call. It fails only with ErrTooLong.
func (l *Letter) Append(dst, scratch []byte) (out, buf []byte, err error) {
	start := len(dst)
	dst = l.appendHead(dst)
	head := len(dst)
	if l.Signal != event.Logs {
		dst = append(dst, `,"signal":"metrics","payload":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, l.Entry)
		dst = append(dst, '"')
	} else {
		dst, scratch = appendEvent(dst, scratch, l.Entry)
		if len(dst)-start > MaxLine-2 {
			dst = append(dst[:head], `,"event":"`...)
			dst = base64.StdEncoding.AppendEncode(dst, l.Entry)
			dst = append(dst, '"')
		}
	}
	if len(dst)-start > MaxLine-2 {
		return dst[:start], scratch, ErrTooLong
	}
	return append(dst, "}\n"...), scratch, nil
}

func (l *Letter) appendHead(dst []byte) []byte {
	text := func(key, s string) {
		if s != "" {
			dst = append(append(append(dst, `,"`...), key...), `":`...)
			dst = event.AppendJSONString(dst, s, event.JSONOptions{})
		}
	}
	dst = append(dst, `{"time":"`...)
	dst = time.Unix(0, l.Time()).UTC().AppendFormat(dst, time.RFC3339Nano)
	dst = append(dst, `","tag":`...)
	dst = event.AppendJSONString(dst, l.Tag, event.JSONOptions{})
	if !utf8.ValidString(l.Tag) {
		text("tag_bytes", base64.StdEncoding.EncodeToString([]byte(l.Tag)))
	}
	text("output", l.Output)
	text("reason", l.Reason)
	if l.Attempts > 0 {
		dst = fmt.Appendf(dst, `,"attempts":%d`, l.Attempts)
	}
	text("input", l.Input)
	text("error", l.Error)
	if l.FirstError != l.Error {
		text("first_error", l.FirstError)
	}
	if !l.GivenUp.IsZero() {
		text("given_up", l.GivenUp.UTC().Format(time.RFC3339Nano))
	}
	text("id", l.ID)
	text("chunk", l.Chunk)
	if l.Processed {
		dst = append(dst, `,"processed":true`...)
	}
	return dst
}

// appendEvent appends metadata and record of an entry, and the entry itself
// where they do not say everything.
func appendEvent(dst, scratch, entry []byte) (out, buf []byte) {
	cur := event.NewChunk(event.ChunkID{}, "", event.Logs, 1, entry).Cursor()
	whole := cur.Next()
	if whole {
		back := append(scratch[:0], entry[:entryHead]...)
		place := func(key string, v event.Value) {
			dst = append(append(append(dst, `,"`...), key...), `":`...)
			from := len(dst)
			dst = event.AppendValueJSON(dst, v, event.JSONOptions{})
			before := len(back)
			var err error
			if back, _, err = event.AppendJSON(back, dst[from:]); err != nil || !bytes.Equal(back[before:], v) {
				whole = false
			}
		}
		if len(cur.Meta) > 1 {
			place("metadata", cur.Meta)
		} else {
			back = append(back, 0x80)
		}
		place("record", cur.Record)
		scratch = back
		whole = whole && bytes.Equal(back, entry)
	}
	if !whole {
		dst = append(dst, `,"event":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, entry)
		dst = append(dst, '"')
	}
	return dst, scratch
}

// entryHead is the array headers and the time of an entry; see package event.
const entryHead = 12

// appendEntryHead appends what an entry begins with.
func appendEntryHead(dst []byte, t time.Time) ([]byte, error) {
	sec := t.Unix()
	if sec < 0 || sec > 1<<32-1 {
		return dst, errors.New(`"time" is before 1970 or after 2106`)
	}
	dst = append(dst, 0x92, 0x92, 0xd7, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(sec))
	return binary.BigEndian.AppendUint32(dst, uint32(t.Nanosecond())), nil
}

// line is a letter as it is written.
type line struct {
	Time       *time.Time      `json:"time"`
	Tag        *string         `json:"tag"`
	TagBytes   []byte          `json:"tag_bytes"`
	Output     string          `json:"output"`
	Reason     string          `json:"reason"`
	Attempts   int             `json:"attempts"`
	Input      string          `json:"input"`
	Error      string          `json:"error"`
	FirstError string          `json:"first_error"`
	GivenUp    time.Time       `json:"given_up"`
	ID         string          `json:"id"`
	Chunk      string          `json:"chunk"`
	Processed  bool            `json:"processed"`
	Signal     string          `json:"signal"`
	Payload    []byte          `json:"payload"`
	Metadata   json.RawMessage `json:"metadata"`
	Record     json.RawMessage `json:"record"`
	Event      []byte          `json:"event"`
}

// Parse reads a line. Keys that it does not know it passes over. The letter
// shares nothing with b.
func Parse(b []byte) (*Letter, error) {
	var in line
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, fmt.Errorf("read letter: %w", err)
	}
	if in.Tag == nil {
		return nil, errors.New(`read letter: there is no "tag"`)
	}
	l := &Letter{ID: in.ID, GivenUp: in.GivenUp, Tag: *in.Tag, Cause: Cause{
		Input: in.Input, Output: in.Output, Chunk: in.Chunk, Reason: in.Reason, Attempts: in.Attempts,
		FirstError: in.FirstError, Error: in.Error, Processed: in.Processed}}
	if l.FirstError == "" {
		l.FirstError = l.Error
	}
	if in.TagBytes != nil {
		l.Tag = string(in.TagBytes)
	}
	var err error
	switch {
	case in.Signal == "metrics":
		l.Signal, l.Entry = event.Metrics, in.Payload
		if len(in.Payload) == 0 {
			err = errors.New(`there is no "payload"`)
		}
	case in.Signal != "":
		err = fmt.Errorf(`unknown "signal" %.40q`, in.Signal)
	case in.Event != nil:
		l.Entry = in.Event
		err = checkEntry(in.Event)
	default:
		l.Entry, err = in.entry()
	}
	if err != nil {
		return nil, fmt.Errorf("read letter: %w", err)
	}
	return l, nil
}

// checkEntry refuses what is not exactly one event.
func checkEntry(b []byte) error {
	cur := event.NewChunk(event.ChunkID{}, "", event.Logs, 1, b).Cursor()
	if !cur.Next() || len(cur.Entry()) != len(b) || cur.Record.Kind() != event.KindMap || cur.Meta.Kind() != event.KindMap {
		return errors.New(`"event" is not the msgpack of one event`)
	}
	return nil
}

// entry makes the entry from the JSON.
func (in *line) entry() ([]byte, error) {
	if in.Time == nil || in.Record == nil {
		return nil, errors.New(`there is neither "event" nor "time" and "record"`)
	}
	dst, err := appendEntryHead(nil, *in.Time)
	if err != nil {
		return nil, err
	}
	for _, part := range []struct {
		key string
		raw []byte
	}{{"metadata", in.Metadata}, {"record", in.Record}} {
		if part.raw == nil {
			dst = append(dst, 0x80)
			continue
		}
		at := len(dst)
		if dst, _, err = event.AppendJSON(dst, part.raw); err != nil {
			return nil, fmt.Errorf("%q: %w", part.key, err)
		}
		if event.Value(dst[at:]).Kind() != event.KindMap {
			return nil, fmt.Errorf("%q is not an object", part.key)
		}
	}
	return dst, nil
}
