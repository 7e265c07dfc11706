package plugintest

import (
	"fmt"
	"testing"
	"time"

	"github.com/kagarilog/kagari/event"
)

// Event is one event in a form that tests can write down: metadata and record
// as JSON.
type Event struct {
	Tag    string
	Time   int64 // nanoseconds since the Unix epoch
	Meta   string
	Record string
}

// String gives the event without its time.
func (e Event) String() string {
	s := e.Tag + ": " + e.Record
	if e.Meta != "" && e.Meta != "{}" {
		s += " with metadata " + e.Meta
	}
	return s
}

// At is the time of the first event of Chunk: 2023-11-14T22:13:20.25Z. Later
// events follow by a second each.
const At = 1700000000_250000000

// Chunk makes a chunk of records given as JSON.
func Chunk(t testing.TB, tag string, records ...string) *event.Chunk {
	t.Helper()
	events := make([]Event, len(records))
	for i, r := range records {
		events[i] = Event{Time: At + int64(i)*1e9, Record: r}
	}
	return ChunkOf(t, tag, events...)
}

// ChunkOf makes a chunk of events; their tags do not count.
func ChunkOf(t testing.TB, tag string, events ...Event) *event.Chunk {
	t.Helper()
	b := event.NewBatch(tag)
	for _, e := range events {
		ev := b.Add(e.Time)
		ev.SetRecord(Value(t, e.Record))
		if e.Meta != "" {
			ev.Meta = Value(t, e.Meta)
		}
	}
	return seal(b)
}

// MetricsChunk makes a chunk of metrics from a marshalled OTLP MetricsData.
func MetricsChunk(tag string, payload []byte) *event.Chunk {
	b := event.NewBatch(tag)
	b.Signal, b.Payload = event.Metrics, payload
	return seal(b)
}

func seal(b *event.Batch) *event.Chunk {
	bu := event.NewBuilder(b.Tag, b.Signal, time.Now())
	bu.Seal(b, 0, 1<<30)
	b.Free()
	return bu.Chunk()
}

// Value encodes JSON as msgpack.
func Value(t testing.TB, json string) event.Value {
	t.Helper()
	v, rest, err := event.AppendJSON(nil, []byte(json))
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%q follows", rest)
	}
	if err != nil {
		t.Fatalf("read %q as JSON: %v", json, err)
	}
	return v
}

// JSON writes a value as JSON.
func JSON(v event.Value) string {
	return string(event.AppendValueJSON(nil, v, event.JSONOptions{}))
}
