package forward

import (
	"context"
	"io"
	"testing"

	"github.com/kagarilog/kagari/event"
)

// loop gives the same bytes again and again, n bytes in all.
type loop struct {
	b   []byte
	off int
	n   int
}

func (l *loop) Read(p []byte) (int, error) {
	if l.n == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), l.n)], l.b[l.off:])
	l.off = (l.off + n) % len(l.b)
	l.n -= n
	return n, nil
}

type nullAcks struct{}

func (nullAcks) expect()            {}
func (nullAcks) delivered([]byte)   {}
func (nullAcks) acknowledge([]byte) {}

// free is an emitter that does nothing.
type free struct{ events int }

func (f *free) Emit(_ context.Context, b *event.Batch) error {
	f.events += len(b.Events)
	b.Free()
	return nil
}

// record is what Docker sends for a line of 200 bytes.
var record = dict{
	"container_id", "3f4e1c0b5a6d7e8f9a0b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f7a8b9c0d1e2f",
	"container_name", "/web-7-nginx-c2f1", "source", "stdout",
	"log", "172.17.0.1 - - [14/Nov/2023:22:13:20 +0000] \"GET /api/v1/items?id=12345&sort=asc HTTP/1.1\" 200 612 \"-\" \"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0\" \"-\" 0.003",
}

// messages makes n Message messages with two tags.
func messages(n int) []byte {
	var b []byte
	for i := range n {
		tag := "docker.web"
		if i%8 == 0 {
			tag = "docker.db"
		}
		b = append(b, pack(list{tag, eventTime{sec, uint32(i)}, record, dict{}})...)
	}
	return b
}

func packedMessages(n, each int) []byte {
	var blob []byte
	for i := range each {
		blob = append(blob, pack(list{eventTime{sec, uint32(i)}, record})...)
	}
	var b []byte
	for range n {
		b = append(b, pack(list{"docker.web", bin(blob), dict{"size", each}})...)
	}
	return b
}

func benchmark(b *testing.B, one []byte, records int) {
	out := &free{}
	src := &loop{b: one, n: len(one)}
	h := newHarness(src, &tagRule{})
	h.dec.out.emit, h.dec.out.acks = out, nullAcks{}
	b.SetBytes(int64(len(one) / records))
	b.ReportAllocs()
	b.ResetTimer()
	for out.events < b.N {
		src.n = len(one)
		for h.dec.message() == nil {
		}
		h.dec.inside = false
	}
}

func BenchmarkMessageMode(b *testing.B) { benchmark(b, messages(10000), 10000) }

func BenchmarkPackedForward(b *testing.B) { benchmark(b, packedMessages(10, 1000), 10000) }

func BenchmarkForwardMode(b *testing.B) {
	var l list
	for i := range 1000 {
		l = append(l, list{list{eventTime{sec, uint32(i)}, dict{}}, record})
	}
	benchmark(b, pack(list{"docker.web", l, dict{"size", 1000}}), 1000)
}

func BenchmarkGzip(b *testing.B) {
	var blob []byte
	for i := range 1000 {
		blob = append(blob, pack(list{eventTime{sec, uint32(i)}, record})...)
	}
	benchmark(b, pack(list{"docker.web", bin(gz(blob)), dict{"size", 1000}}), 1000)
}

func TestNoAllocationPerRecord(t *testing.T) {
	// What is left are a few for each batch of hundreds of records; with the race
	// detector pools forget some more.
	const limit = 0.05
	f := func(name string, one []byte, records int) {
		t.Helper()
		out := &free{}
		src := &loop{b: one}
		h := newHarness(src, &tagRule{})
		h.dec.out.emit, h.dec.out.acks = out, nullAcks{}
		n := testing.AllocsPerRun(20, func() {
			src.n = len(one)
			for h.dec.message() == nil {
			}
			h.dec.inside = false
		})
		if per := n / float64(records); per > limit {
			t.Errorf("%s: %.4f allocations per record", name, per)
		}
	}
	f("Message", messages(10000), 10000)
	f("PackedForward", packedMessages(10, 1000), 10000)
	withAck := pack(list{"docker.web", raw(append([]byte{0xdd, 0, 0, 3, 232}, entries(1000, 300)...)), dict{"chunk", "0123456789abcdef"}})
	f("Forward with acknowledgement", withAck, 1000)
	var acked []byte
	for i := range 1000 {
		acked = append(acked, pack(list{"t", sec + i, record, dict{"chunk", "0123456789abcdef"}})...)
	}
	f("Message with acknowledgement", acked, 1000)
}
