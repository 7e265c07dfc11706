package event_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kagarilog/kagari/event"
)

// counting returns an ack and how often it was told.
func counting() (*event.Ack, *atomic.Int32) {
	n := new(atomic.Int32)
	return event.NewAck(func() { n.Add(1) }), n
}

func panics(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if r := recover(); r == nil || !strings.HasPrefix(fmt.Sprint(r), "BUG:") {
			t.Errorf("%s: %v, want a panic that names a bug", what, r)
		}
	}()
	f()
}

func TestAckIsToldOnceByTheLast(t *testing.T) {
	a, n := counting()
	var wg sync.WaitGroup
	for range 8 {
		a.Hold()
		wg.Go(a.Release)
	}
	wg.Wait()
	if n.Load() != 0 {
		t.Error("told while there is a holder")
	}
	a.Release()
	if n.Load() != 1 {
		t.Errorf("told %d times", n.Load())
	}
	panics(t, "one release too many", a.Release)
	b, _ := counting()
	b.Release()
	panics(t, "holding what is done", b.Hold)
	var none *event.Ack
	none.Hold()
	none.Release()
}

// batchOf makes a batch of records {"n": from…to-1}.
func batchOf(tag string, from, to int) *event.Batch {
	b := event.NewBatch(tag)
	for n := from; n < to; n++ {
		b.Add(int64(n)).Append(b.String("n"), b.Int(int64(n)))
	}
	return b
}

func numbersOf(t testing.TB, c *event.Chunk) (ns []int) {
	t.Helper()
	cur := c.Cursor()
	for cur.Next() {
		v, _ := cur.Record.Get("n")
		n, _ := v.Int()
		if cur.Index != len(ns) {
			t.Errorf("event %d has the index %d", len(ns), cur.Index)
		}
		ns = append(ns, int(n))
	}
	if cur.Err() != nil {
		t.Error(cur.Err())
	}
	return ns
}

func TestChunkHoldsTheAcksOfItsBatches(t *testing.T) {
	a, told := counting()
	bu := event.NewBuilder("t", event.Logs, time.Now())
	for i := range 3 { // Three batches with one ack.
		b := batchOf("t", 10*i, 10*i+10)
		a.Hold()
		b.Ack = a
		if rest := bu.Seal(b, 0, 1<<20); rest != 10 {
			t.Errorf("%d of 10 events were sealed", rest)
		}
		b.Free()
	}
	a.Release()
	c := bu.Chunk()
	if told.Load() != 0 || c.Count != 30 || len(numbersOf(t, c)) != 30 {
		t.Errorf("told %d times, %d events", told.Load(), c.Count)
	}
	c.Hold()
	c.Release()
	if told.Load() != 0 {
		t.Error("told although the chunk is held")
	}
	c.OnFree(func() { told.Add(10) })
	c.Release()
	if told.Load() != 11 {
		t.Error("the last release does not tell")
	}
	panics(t, "one release too many", c.Release)
}

func TestAcknowledgedAndAbandonedChunks(t *testing.T) {
	sealed := func() (*event.Chunk, *atomic.Int32) {
		a, told := counting()
		b := batchOf("t", 0, 2)
		b.Ack = a
		bu := event.NewBuilder("t", event.Logs, time.Now())
		bu.Seal(b, 0, 1<<20)
		b.Free()
		return bu.Chunk(), told
	}
	c, told := sealed()
	c.Acknowledge()
	if told.Load() != 1 {
		t.Error("Acknowledge does not tell")
	}
	c.Release()
	c, told2 := sealed()
	c.Abandon()
	c.Release()
	if told.Load() != 1 || told2.Load() != 0 {
		t.Errorf("told %d and %d times, want 1 and 0", told.Load(), told2.Load())
	}
	a, told := counting()
	b := batchOf("t", 0, 1)
	b.Ack = a
	bu := event.NewBuilder("t", event.Logs, time.Now())
	bu.Seal(b, 0, 1<<20)
	b.Free()
	bu.Discard()
	if told.Load() != 1 {
		t.Error("Discard does not tell")
	}
}

func TestSealStopsAtTheLimitAndGoesOn(t *testing.T) {
	b := batchOf("t", 0, 1000)
	a, told := counting()
	b.Ack = a
	var chunks []*event.Chunk
	var got []int
	for from := 0; from < len(b.Events); {
		bu := event.NewBuilder("t", event.Logs, time.Now())
		next := bu.Seal(b, from, 1000)
		if next <= from {
			t.Fatal("no progress")
		}
		from = next
		c := bu.Chunk()
		if c.Size() > 1100 {
			t.Errorf("a chunk has %d bytes with a limit of 1000", c.Size())
		}
		got = append(got, numbersOf(t, c)...)
		chunks = append(chunks, c)
	}
	b.Free()
	for n := range 1000 {
		if got[n] != n {
			t.Fatalf("event %d is %d", n, got[n])
		}
	}
	for i, c := range chunks {
		if told.Load() != 0 {
			t.Fatalf("told after %d of %d chunks", i, len(chunks))
		}
		c.Release()
	}
	if told.Load() != 1 {
		t.Errorf("told %d times", told.Load())
	}
}

func TestMetricsAreJoined(t *testing.T) {
	bu := event.NewBuilder("m", event.Metrics, time.Now())
	for _, p := range []string{"ab", "c"} {
		b := event.NewBatch("m")
		b.Signal, b.Payload = event.Metrics, []byte(p)
		bu.Seal(b, 0, 1<<20)
		b.Free()
	}
	c := bu.Chunk()
	defer c.Release()
	if string(c.Bytes()) != "abc" || c.Count != 2 || c.Signal != event.Metrics {
		t.Errorf("%q, %d messages", c.Bytes(), c.Count)
	}
}

// The protocol has 32 bits of seconds; what does not fit must not become
// another time.
func TestTimesThatDoNotFitAreClamped(t *testing.T) {
	const most = (1<<32-1)*1e9 + 999999999
	for ns, want := range map[int64]int64{
		0: 0, 1: 1, -1: 0, math.MinInt64: 0, 1700000000_123456789: 1700000000_123456789, most: most, most + 1: most, math.MaxInt64: most,
	} {
		b := event.NewBatch("t")
		b.Add(ns)
		bu := event.NewBuilder("t", event.Logs, time.Now())
		bu.Seal(b, 0, 1<<20)
		b.Free()
		c := bu.Chunk()
		cur := c.Cursor()
		if !cur.Next() || cur.Time != want {
			t.Errorf("%d becomes %d, want %d", ns, cur.Time, want)
		}
		c.Release()
	}
}

func TestSelect(t *testing.T) {
	bu := event.NewBuilder("t", event.Logs, time.Now())
	b := batchOf("t", 0, 10)
	bu.Seal(b, 0, 1<<20)
	b.Free()
	c := bu.Chunk()
	defer c.Release()
	for _, want := range [][]int{nil, {0}, {9}, {0, 3, 9}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}} {
		s := c.Select(want)
		if got := numbersOf(t, s); !slices.Equal(got, want) || s.Count != len(want) || s.ID != c.ID || s.Tag != c.Tag {
			t.Errorf("Select(%v) has %v, count %d", want, got, s.Count)
		}
		s.Release()
	}
	// Indexes that are not there, or not in order, select less.
	if s := c.Select([]int{5, 2, 10}); s.Count != 1 {
		t.Errorf("%d events", s.Count)
	}
}

func TestChunkIDs(t *testing.T) {
	now := time.Unix(1700000000, 5)
	id := event.NewChunkID(now)
	back, ok := event.ParseChunkID(id.String())
	if !ok || back != id || !id.Created().Equal(now) {
		t.Errorf("%v, %v, %v", back, ok, id.Created())
	}
	if later := event.NewChunkID(now.Add(1)); later.String() <= id.String() {
		t.Error("the order of names is not the order of creation")
	}
	for _, s := range []string{"", "zz", id.String()[1:], id.String() + "00", strings.Repeat("g", 32)} {
		if _, ok := event.ParseChunkID(s); ok {
			t.Errorf("%q is an id", s)
		}
	}
}

// The buffers of chunks are used again; a chunk must not change while it is
// held, whatever other chunks come and go.
func TestChunksKeepTheirBytesWhileOthersComeAndGo(t *testing.T) {
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			var held []*event.Chunk
			var want [][]byte
			for i := range 200 {
				b := batchOf(fmt.Sprint(w), i, i+1+(i*37)%300)
				bu := event.NewBuilder("t", event.Logs, time.Now())
				bu.Seal(b, 0, 1<<20)
				b.Free()
				c := bu.Chunk()
				held, want = append(held, c), append(want, bytes.Clone(c.Bytes()))
				if i%3 == 0 {
					k := (i * 7) % len(held)
					if !bytes.Equal(held[k].Bytes(), want[k]) {
						t.Error("a held chunk has changed")
					}
					held[k].Release()
					held, want = slices.Delete(held, k, k+1), slices.Delete(want, k, k+1)
				}
			}
			for i, c := range held {
				if !bytes.Equal(c.Bytes(), want[i]) {
					t.Error("a held chunk has changed")
				}
				c.Release()
			}
		})
	}
	wg.Wait()
}

func FuzzCursor(f *testing.F) {
	bu := event.NewBuilder("t", event.Logs, time.Now())
	b := batchOf("t", 0, 3)
	b.Events[1].Meta = event.Value{0x81, 0xa1, 'k', 0xc0}
	bu.Seal(b, 0, 1<<20)
	b.Free()
	whole := bu.Chunk().Bytes()
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add([]byte{0x92, 0x92, 0xd7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xdf, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		c := event.NewChunk(event.ChunkID{}, "t", event.Logs, 0, data)
		var all []byte
		var indexes []int
		cur := c.Cursor()
		for cur.Next() {
			if _, rest, err := event.Next(cur.Record); err != nil || len(rest) != 0 {
				t.Fatalf("record %x is not one value", cur.Record)
			}
			all = append(all, cur.Entry()...)
			indexes = append(indexes, cur.Index)
		}
		if !bytes.HasPrefix(data, all) || cur.Err() == nil && len(all) != len(data) {
			t.Fatal("the entries are not the beginning of the data")
		}
		if cur.Next() {
			t.Fatal("Next goes on after the end")
		}
		if s := c.Select(indexes); !bytes.Equal(s.Bytes(), all) || s.Count != len(indexes) {
			t.Fatal("selecting all is not all")
		}
	})
}

func TestBuildKeepsNothingAfterAnError(t *testing.T) {
	b := event.NewBatch("t")
	defer b.Free()
	first := b.String("first")
	if v, err := b.Build(10, func(dst []byte) ([]byte, error) {
		return append(dst, "rubbish"...), errors.New("no")
	}); v != nil || err == nil {
		t.Errorf("%q, %v", v, err)
	}
	second := b.String("second")
	// More than was asked for moves to other memory.
	big, err := b.Build(1, func(dst []byte) ([]byte, error) { return event.AppendString(dst, strings.Repeat("x", 1<<20)), nil })
	if err != nil {
		t.Fatal(err)
	}
	third := b.String("third")
	for v, want := range map[string]string{string(first): "first", string(second): "second", string(third): "third"} {
		if got, _ := event.Value(v).Str(); string(got) != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if s, _ := big.Str(); len(s) != 1<<20 || strings.Trim(string(s), "x") != "" {
		t.Error("the long value has changed")
	}
	// A value ends where it ends: appending to it must not touch the next.
	_ = append(second, "!!!!!!!!"...)
	if s, _ := third.Str(); string(s) != "third" {
		t.Errorf("appending to a value has made the next one %q", s)
	}
}

func TestRecordAndFieldsRoundTrip(t *testing.T) {
	b := event.NewBatch("t")
	defer b.Free()
	packed, _, err := event.AppendJSON(nil, []byte(`{"a":1,"b":{"c":[1,2]},"a":2,"":null}`))
	if err != nil {
		t.Fatal(err)
	}
	e := b.Add(1)
	e.SetRecord(packed)
	fields := e.Fields()
	if len(fields) != 4 || e.Len() != 4 || string(fields[1].Name()) != "b" {
		t.Fatalf("%d fields", len(fields))
	}
	if v, ok := e.Get("a"); !ok || !bytes.Equal(v, event.Value{2}) {
		t.Error("the last of two equal keys does not win")
	}
	if !bytes.Equal(e.Record(), packed) {
		t.Errorf("%x becomes %x", packed, e.Record())
	}
	e.Append(b.String("d"), b.Bool(true))
	e.SetFields(e.Fields()[1:])
	if got := event.AppendValueJSON(nil, e.Record(), event.JSONOptions{}); string(got) != `{"b":{"c":[1,2]},"a":2,"":null,"d":true}` {
		t.Errorf("%s", got)
	}
	// Two events of a batch share a slab of fields but not their ends.
	x, y := *b.Add(1), *b.Add(2)
	x.SetRecord(packed)
	y.SetRecord(packed)
	fx, fy := x.Fields(), y.Fields()
	_ = append(fx, event.Field{Key: b.String("zz"), Val: b.Int(0)})
	if string(fy[0].Name()) != "a" {
		t.Error("appending to the fields of one event has changed another")
	}
}

func FuzzRecordRoundTrip(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":1}`, `{"a":{"b":[null,true,-1.5]},"a":"x"}`} {
		v, _, err := event.AppendJSON(nil, []byte(s))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(v)
	}
	f.Add([]byte{0xde, 0, 1, 0xc0, 0xc0})
	f.Fuzz(func(t *testing.T, data []byte) {
		v, _, err := event.Next(data)
		if err != nil || v.Kind() != event.KindMap {
			return
		}
		b := event.NewBatch("t")
		defer b.Free()
		e := b.Add(1)
		e.SetRecord(v)
		n := e.Len()
		fields := e.Fields()
		if len(fields) != n || e.Len() != n {
			t.Fatalf("%d fields, Len was %d", len(fields), n)
		}
		size := b.Size()
		r := e.Record()
		if _, rest, err := event.Next(r); err != nil || len(rest) != 0 {
			t.Fatalf("%x does not read back: %v", r, err)
		}
		if size < len(r) {
			t.Fatalf("Size says %d of a record of %d bytes", size, len(r))
		}
		i := 0
		for k, val := range r.Pairs() {
			if !bytes.Equal(k, fields[i].Key) || !bytes.Equal(val, fields[i].Val) {
				t.Fatalf("field %d has changed", i)
			}
			i++
		}
	})
}

func TestFreedBatchesAreEmptyAndSmall(t *testing.T) {
	a, told := counting()
	b := event.NewBatch("t")
	b.Ack, b.Signal, b.Payload = a, event.Metrics, []byte("x")
	b.Add(1)
	b.Free()
	if told.Load() != 1 {
		t.Error("Free does not release the ack")
	}
	for range 10 {
		b := event.NewBatch("u")
		if b.Tag != "u" || b.Signal != event.Logs || len(b.Events) != 0 || b.Payload != nil || b.Ack != nil || b.Size() != 0 {
			t.Fatalf("a new batch is not empty: %+v", b)
		}
		b.Free()
	}
}
