package forward

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/forwardproto"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

const sec = 1700000000

// result is what became of some bytes.
type result struct {
	events []plugintest.Event
	acks   []string
	groups int
	reason string // "" for a clean end, "incomplete" for an early one
}

// ackList is an acker that remembers.
type ackList struct {
	mu      sync.Mutex
	acks    []byte
	pending int
}

func (a *ackList) expect() { a.mu.Lock(); a.pending++; a.mu.Unlock() }
func (a *ackList) delivered(acks []byte) {
	a.mu.Lock()
	a.pending--
	a.mu.Unlock()
	a.acknowledge(acks)
}
func (a *ackList) acknowledge(acks []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.acks = append(a.acks, acks...)
}

func (a *ackList) list(t testing.TB) (ids []string) {
	for b := a.acks; len(b) > 0; {
		v, rest, err := event.Next(b)
		if err != nil {
			t.Fatalf("the acknowledgements %x are no msgpack: %v", a.acks, err)
		}
		id, ok := v.Get("ack")
		s, _ := id.Str()
		if !ok {
			t.Fatalf("%x is no acknowledgement", []byte(v))
		}
		ids = append(ids, string(s))
		b = rest
	}
	return ids
}

// harness decodes from r with limits for tests.
type harness struct {
	em   plugintest.Emitter
	acks ackList
	dec  decoder
	warn []string
}

func newHarness(r io.Reader, rule *tagRule) *harness {
	h := &harness{}
	h.dec = decoder{
		in:      stream{src: r, limit: 256 << 10, budget: &budget{limit: 1 << 30}, left: -1},
		out:     sink{ctx: context.Background(), emit: &h.em, acks: &h.acks, tags: rule},
		maxSize: 16 << 20,
	}
	h.dec.out.warn = func(err error) { h.warn = append(h.warn, err.Error()) }
	h.dec.in.before = h.dec.out.flush
	return h
}

func decodeFrom(t testing.TB, r io.Reader, rule *tagRule) result {
	h := newHarness(r, rule)
	var res result
	err := error(nil)
	for err == nil {
		err = h.dec.message()
	}
	if err := h.dec.out.flush(); err != nil {
		t.Fatal(err)
	}
	var m *forwardproto.Malformed
	switch {
	case errors.As(err, &m):
		res.reason = m.Reason
	case err == io.ErrUnexpectedEOF:
		res.reason = "incomplete"
	case err != io.EOF:
		t.Fatalf("unexpected error: %v", err)
	}
	if h.acks.pending != 0 {
		t.Fatalf("%d deliveries were not told that they are done", h.acks.pending)
	}
	h.dec.in.release()
	if n := h.dec.in.budget.used.Load(); n != 0 {
		t.Fatalf("%d bytes of the budget were not given back", n)
	}
	res.events, res.acks, res.groups = h.em.Events(), h.acks.list(t), h.dec.groups
	return res
}

func decodeBytes(t testing.TB, b []byte) result {
	return decodeFrom(t, bytes.NewReader(b), &tagRule{def: "default"})
}

// lines gives events in a form to compare.
func lines(events []plugintest.Event) string {
	var b strings.Builder
	for _, e := range events {
		fmt.Fprintf(&b, "%s @%d.%09d", e.Tag, e.Time/1e9, e.Time%1e9)
		if e.Meta != "{}" {
			fmt.Fprintf(&b, " %s", e.Meta)
		}
		fmt.Fprintf(&b, " %s\n", e.Record)
	}
	return b.String()
}

func gz(b []byte) []byte {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	w.Write(b)
	w.Close()
	return buf.Bytes()
}

func zs(b []byte) []byte {
	w, _ := zstd.NewWriter(nil)
	defer w.Close()
	return w.EncodeAll(b, nil)
}

func entry1(i int) list { return list{sec + i, dict{"n", i}} }

func packEntries(n int) []byte {
	var b []byte
	for i := range n {
		b = append(b, pack(entry1(i))...)
	}
	return b
}

const threeEvents = "t @1700000000.000000000 {\"n\":0}\nt @1700000001.000000000 {\"n\":1}\nt @1700000002.000000000 {\"n\":2}\n"

func TestEveryModeGivesItsEvents(t *testing.T) {
	f := func(name string, message []byte, want string, acks ...string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			t.Helper()
			got := decodeBytes(t, message)
			if got.reason != "" {
				t.Errorf("refused: %s", got.reason)
			}
			if l := lines(got.events); l != want {
				t.Errorf("events:\n%swant:\n%s", l, want)
			}
			if !slices.Equal(got.acks, acks) {
				t.Errorf("acknowledged %q, want %q", got.acks, acks)
			}
		})
	}
	p3 := packEntries(3)
	one := "t @1700000000.000000000 {\"a\":1}\n"
	f("message", pack(list{"t", sec, dict{"a", 1}}), one)
	f("message with ack", pack(list{"t", sec, dict{"a", 1}, dict{"chunk", "c1"}}), one, "c1")
	f("message with nil options, old Docker", pack(list{"t", sec, dict{"a", 1}, nil}), one)
	f("message with metadata", pack(list{"t", sec, dict{"a", 1}, dict{"metadata", dict{"m", true}, "chunk", "x"}}),
		"t @1700000000.000000000 {\"m\":true} {\"a\":1}\n", "x")
	f("message with an element too many", pack(list{"t", sec, dict{"a", 1}, dict{"chunk", "c5"}, 7}), one, "c5")
	f("message with EventTime", pack(list{"t", eventTime{sec, 123456789}, dict{"a", 1}}), "t @1700000000.123456789 {\"a\":1}\n")
	f("message with EventTime as ext 8", pack(list{"t", raw(append([]byte{0xc7, 8, 0}, pack(eventTime{sec, 7})[2:]...)), dict{"a", 1}}),
		"t @1700000000.000000007 {\"a\":1}\n")
	f("message with float time, which Fluent Bit refuses", pack(list{"t", sec + 0.25, dict{"a", 1}}), "t @1700000000.250000000 {\"a\":1}\n")
	f("message with time 0", pack(list{"t", 0, dict{"a", 1}}), "t @0.000000000 {\"a\":1}\n")
	f("empty record", pack(list{"t", sec, dict{}, dict{"chunk", "g"}}), "t @1700000000.000000000 {}\n", "g")
	f("heartbeats between messages", pack(nil, nil, list{"t", sec, dict{"a", 1}}, nil), one)
	f("tag of 40 bytes", pack(list{strings.Repeat("t", 40), sec, dict{"a", 1}}), strings.Repeat("t", 40)+" @1700000000.000000000 {\"a\":1}\n")
	f("empty tag", pack(list{"", sec, dict{"a", 1}}), "default @1700000000.000000000 {\"a\":1}\n")

	f("forward", pack(list{"t", list{entry1(0), entry1(1), entry1(2)}}), threeEvents)
	f("forward with ack", pack(list{"t", list{entry1(0), entry1(1), entry1(2)}, dict{"size", 3, "chunk", "f"}}), threeEvents, "f")
	f("forward with long array", pack(list{"t", raw(append([]byte{0xdd, 0, 0, 0, 3}, p3...)), dict{}}), threeEvents)
	f("forward with metadata", pack(list{"t", list{list{list{eventTime{sec, 5}, dict{"m", 1}}, dict{"a", 2}}, list{list{eventTime{sec, 6}, dict{}}, dict{"a", 3}}}}),
		"t @1700000000.000000005 {\"m\":1} {\"a\":2}\nt @1700000000.000000006 {\"a\":3}\n")
	f("forward with metadata beside other times", pack(list{"t", list{list{list{sec, dict{"m", 1}}, dict{"a", 2}}, list{list{sec + 0.5, dict{}}, dict{}}}}),
		"t @1700000000.000000000 {\"m\":1} {\"a\":2}\nt @1700000000.500000000 {}\n")
	f("forward with float time", pack(list{"t", list{list{1700000000.25, dict{"a", 1}}}}), "t @1700000000.250000000 {\"a\":1}\n")
	f("forward with small times", pack(list{"t", list{list{1, dict{}}, list{float32(1.5), dict{}}}}), "t @1.000000000 {}\nt @1.500000000 {}\n")
	f("empty forward", pack(list{"t", list{}}), "")
	f("empty forward with ack", pack(list{"t", list{}, dict{"chunk", "e"}}), "", "e")

	f("packed", pack(list{"t", bin(p3)}), threeEvents)
	f("packed as string", pack(list{"t", string(p3)}), threeEvents)
	f("packed with ack", pack(list{"t", bin(p3), dict{"chunk", "p"}}), threeEvents, "p")
	f("packed with nil options", pack(list{"t", bin(p3), nil}), threeEvents)
	f("packed with an element too many", pack(list{"t", bin(p3), dict{"chunk", "p"}, "more"}), threeEvents, "p")
	f("empty packed with ack", pack(list{"t", bin(nil), dict{"chunk", "e"}}), "", "e")
	f("packed logs of Fluent Bit", pack(list{"t", bin(p3), dict{"chunk", "p", "fluent_signal", 0}}), threeEvents, "p")

	f("gzip", pack(list{"t", bin(gz(p3)), dict{"compressed", "gzip", "chunk", "z"}}), threeEvents, "z")
	f("gzip as string", pack(list{"t", string(gz(p3)), dict{"compressed", "gzip"}}), threeEvents)
	f("gzip that nobody announced", pack(list{"t", bin(gz(p3))}), threeEvents)
	f("gzip members in a row", pack(list{"t", bin(append(gz(pack(entry1(0))), gz(pack(entry1(1), entry1(2)))...)), dict{"compressed", "gzip"}}), threeEvents)
	f("gzip of nothing", pack(list{"t", bin(gz(nil)), dict{"compressed", "gzip", "chunk", "z"}}), "", "z")
	f("plain entries announced as gzip", pack(list{"t", bin(p3), dict{"compressed", "gzip", "chunk", "z"}}), threeEvents, "z")
	f("zstd", pack(list{"t", bin(zs(p3)), dict{"compressed", "zstd", "chunk", "z"}}), threeEvents, "z")
	f("zstd announced as gzip", pack(list{"t", bin(zs(p3)), dict{"compressed", "gzip"}}), threeEvents)
	f("zstd frames in a row", pack(list{"t", bin(append(zs(pack(entry1(0))), zs(pack(entry1(1), entry1(2)))...))}), threeEvents)

	f("several messages and tags", pack(
		list{"b", sec, dict{"n", 1}, dict{"chunk", "1"}},
		list{"a", list{entry1(0)}, dict{"chunk", "2"}},
		list{"b", bin(pack(entry1(2))), dict{"chunk", "3"}}),
		"b @1700000000.000000000 {\"n\":1}\nb @1700000002.000000000 {\"n\":2}\na @1700000000.000000000 {\"n\":0}\n", "1", "3", "2")
}

func TestGroupMarkersAreLeftOut(t *testing.T) {
	start := list{list{eventTime{1<<32 - 1, 0}, dict{"schema", "otlp"}}, dict{"resource", dict{}}}
	end := list{list{eventTime{1<<32 - 2, 0}, dict{}}, dict{}}
	mid := list{list{eventTime{sec, 0}, dict{}}, dict{"a", 1}}
	for name, m := range map[string]any{
		"forward": list{"t", list{start, mid, end}, dict{"chunk", "g"}},
		"packed":  list{"t", bin(pack(start, mid, end)), dict{"chunk", "g"}},
	} {
		got := decodeBytes(t, pack(m))
		if l := lines(got.events); l != "t @1700000000.000000000 {\"a\":1}\n" || got.reason != "" || got.groups != 2 || !slices.Equal(got.acks, []string{"g"}) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	got := decodeBytes(t, pack(list{"t", eventTime{1<<32 - 1, 0}, dict{"a", 1}, dict{"chunk", "m"}}))
	if len(got.events) != 0 || got.groups != 1 || got.reason != "" || !slices.Equal(got.acks, []string{"m"}) {
		t.Errorf("message: %+v", got)
	}
}

func TestBadMessagesAreRefusedWithAReason(t *testing.T) {
	f := func(name, reason string, message []byte, events string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			t.Helper()
			// Good events behind must not come through, those before must.
			before := pack(list{"good", sec, dict{}})
			got := decodeBytes(t, slices.Concat(before, message, pack(list{"behind", sec, dict{}})))
			if got.reason != reason {
				t.Errorf("reason %q, want %q", got.reason, reason)
			}
			if l := lines(got.events); l != "good @1700000000.000000000 {}\n"+events {
				t.Errorf("events:\n%s", l)
			}
			if len(got.acks) > 0 {
				t.Errorf("acknowledged %q", got.acks)
			}
		})
	}
	ack := dict{"chunk", "x"}
	first := "t @1700000000.000000000 {\"n\":0}\n"
	f("a string", "invalid_message", pack("hello"), "")
	f("a map", "invalid_message", pack(dict{"a", 1}), "")
	f("HTTP", "invalid_message", []byte("GET / HTTP/1.1\r\n\r\n"), "")
	f("TLS", "invalid_message", []byte{0x16, 3, 1, 0, 5, 1}, "")
	f("empty array", "invalid_message", pack(list{}), "")
	f("only a tag", "invalid_message", pack(list{"t"}), "")
	f("no record", "invalid_message", pack(list{"t", sec}), "")
	f("reserved byte", "invalid_message", []byte{0xc1}, "")
	f("tag as binary", "invalid_tag", pack(list{bin("t"), sec, dict{}}), "")
	f("tag as number", "invalid_tag", pack(list{1, sec, dict{}}), "")
	f("long tag", "invalid_tag", pack(list{strings.Repeat("t", maxTag+1), sec, dict{}}), "")
	f("tag that claims 4 GB", "invalid_tag", []byte{0x93, 0xdb, 0xff, 0xff, 0xff, 0xff, 't'}, "")
	f("nil for entries", "invalid_message", pack(list{"t", nil, dict{}}), "")
	f("boolean time", "invalid_message", pack(list{"t", true, dict{}}), "")
	f("text time", "invalid_entry", pack(list{"t", "1700000000", dict{"a", 1}}), "")
	f("negative time", "invalid_time", pack(list{"t", -5, dict{}}), "")
	f("time in milliseconds", "invalid_time", pack(list{"t", sec * 1000, dict{}}), "")
	f("time of another extension", "invalid_time", pack(list{"t", raw("\xd7\x0112345678"), dict{}}), "")
	f("time of a short extension", "invalid_time", pack(list{"t", raw("\xd6\x001234"), dict{}}), "")
	f("too many nanoseconds", "invalid_time", pack(list{"t", eventTime{sec, 1e9}, dict{}, ack}), "")
	f("record as text", "invalid_record", pack(list{"t", sec, "x", ack}), "")
	f("record as array", "invalid_record", pack(list{"t", sec, list{}, ack}), "")
	f("broken record", "invalid_msgpack", pack(list{"t", sec, raw{0x81, 0xc1, 0xc1}}), "")
	f("options as text", "invalid_options", pack(list{"t", sec, dict{}, "x"}), "")
	f("chunk as number", "invalid_options", pack(list{"t", sec, dict{}, dict{"chunk", 5}}), "")
	f("metadata as number", "invalid_options", pack(list{"t", sec, dict{}, dict{"metadata", 5}}), "")
	f("long chunk id", "invalid_options", pack(list{"t", sec, dict{}, dict{"chunk", strings.Repeat("c", 5000)}}), "")

	f("entry with three elements", "invalid_entry", pack(list{"t", list{entry1(0), list{sec, dict{}, dict{}}, entry1(1)}, ack}), first)
	f("entry that is no array", "invalid_entry", pack(list{"t", list{entry1(0), dict{}}, ack}), first)
	f("head with three elements", "invalid_entry", pack(list{"t", list{entry1(0), list{list{sec, dict{}, 1}, dict{}}}, ack}), first)
	f("metadata that is no map", "invalid_entry", pack(list{"t", list{entry1(0), list{list{eventTime{sec, 1}, nil}, dict{"a", "long enough"}}}, ack}), first)
	f("metadata that is no map beside an integer", "invalid_entry", pack(list{"t", list{entry1(0), list{list{sec, nil}, dict{}}}, ack}), first)
	f("record that is no map", "invalid_record", pack(list{"t", list{entry1(0), list{sec, "x"}, entry1(1)}, ack}), first)
	f("text as time of an entry", "invalid_time", pack(list{"t", list{entry1(0), list{"x", dict{}}}, ack}), first)
	f("too many nanoseconds in an entry", "invalid_time", pack(list{"t", list{entry1(0), list{eventTime{sec, 1999999999}, dict{"a", "long enough"}}}, ack}), first)

	f("packed: record that is no map", "invalid_record", pack(list{"t", bin(pack(entry1(0), list{sec, "x"}, entry1(1))), ack}), first)
	f("packed: no entries", "invalid_entry", pack(list{"t", bin("hello"), ack}), "")
	f("packed: garbage at the end", "invalid_entry", pack(list{"t", bin(append(pack(entry1(0)), 0xc1)), ack}), first)
	f("packed: cut off", "truncated_entries", pack(list{"t", bin(packEntries(2)[:len(packEntries(2))-1]), ack}), first)
	f("packed: record that claims to go on", "truncated_entries", pack(list{"t", bin(append(pack(entry1(0)), 0x92, 0, 0x81, 0xa1, 'k', 0xdb, 0, 1, 0, 0)), ack}), first)
	f("gzip: cut off", "invalid_compression", pack(list{"t", bin(gz(packEntries(1))[:20]), ack}), "")
	f("gzip: only the magic", "invalid_compression", pack(list{"t", bin{0x1f, 0x8b}, ack}), "")
	f("gzip: entry cut off", "truncated_entries", pack(list{"t", bin(gz(packEntries(2)[:len(packEntries(2))-1])), ack}), first)
	f("gzip: no entries", "invalid_entry", pack(list{"t", bin(gz([]byte("hello"))), ack}), "")
	f("zstd: damaged", "invalid_compression", pack(list{"t", bin{0x28, 0xb5, 0x2f, 0xfd, 0xff, 0xff, 0xff, 0xff, 0xff}, ack}), "")
	f("zstd: huge window", "invalid_compression", pack(list{"t", bin{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xf8, 0, 0, 0}, ack}), "")
	f("packed: larger than allowed", "too_large", pack(list{"t", raw{0xc6, 0xff, 0xff, 0xff, 0xff}}), "")

	f("signal of nobody", "invalid_options", pack(list{"t", bin(nil), dict{"fluent_signal", 9}}), "")
	f("signal as text", "invalid_options", pack(list{"t", bin(nil), dict{"fluent_signal", "x"}}), "")
	f("metrics that are to be acknowledged", "unsupported_signal", pack(list{"t", bin(pack(dict{"meta", dict{}})), dict{"chunk", "m", "fluent_signal", 1}}), "")
	f("metrics in gzip", "unsupported_signal", pack(list{"t", bin(gz(pack(dict{"meta", dict{}}))), dict{"chunk", "m", "fluent_signal", 1, "compressed", "gzip"}}), "")
	f("a map that is no metrics", "invalid_entry", pack(list{"t", bin(pack(dict{"meta", dict{}})), dict{"chunk", "m"}}), "")

	deep := bytes.Repeat([]byte{0x91}, 300)
	f("deep record", "too_deep", pack(list{"t", sec, dict{"a", raw(append(deep, 0xc0))}}), "")
	f("deep entry", "too_deep", pack(list{"t", list{list{sec, dict{"a", raw(append(deep, 0xc0))}}}}), "")
	f("string that claims 4 GB", "too_large", slices.Concat(pack(list{"t", sec, dict{"a", raw{0xdb, 0xff, 0xff, 0xff, 0xff}}}), make([]byte, 100)), "")
	f("map that claims 4 G entries", "too_large", pack(list{"t", sec, raw{0xdf, 0xff, 0xff, 0xff, 0xff}}), "")
	f("entry that claims 4 GB", "too_large", slices.Concat(pack(list{"t", list{list{sec, dict{"a", raw{0xc6, 0xff, 0xff, 0xff, 0xff}}}}}), make([]byte, 100)), "")
	f("options that claim 4 G entries", "too_large", pack(list{"t", list{}, raw{0xdf, 0xff, 0xff, 0xff, 0xff}}), "")
	f("message larger than the buffer", "too_large", pack(list{"t", sec, dict{"a", strings.Repeat("x", 300<<10)}}), "")
}

func TestMetricsWithoutAckAreSkipped(t *testing.T) {
	cmt := pack(dict{"meta", dict{"x", strings.Repeat("m", 200<<10)}})
	h := newHarness(bytes.NewReader(pack(
		list{"m", bin(cmt), dict{"fluent_signal", 1}},
		list{"m", bin(gz(cmt)), dict{"fluent_signal", 2}},
		list{"t", sec, dict{"a", 1}})), &tagRule{})
	for {
		if err := h.dec.message(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if got := lines(h.em.Events()); got != "t @1700000000.000000000 {\"a\":1}\n" || len(h.warn) != 2 {
		t.Errorf("events:\n%swarnings: %q", got, h.warn)
	}
}

func TestTagRules(t *testing.T) {
	f := func(rule tagRule, wire, want string) {
		t.Helper()
		got := decodeFrom(t, bytes.NewReader(pack(list{wire, sec, dict{}})), &rule)
		if len(got.events) != 1 || got.events[0].Tag != want {
			t.Errorf("%+v: tag %q became %+v, want %q", rule, wire, got.events, want)
		}
	}
	f(tagRule{def: "forward.0"}, "a", "a")
	f(tagRule{def: "forward.0"}, "", "forward.0")
	f(tagRule{fixed: "x", def: "forward.0"}, "a", "x")
	f(tagRule{fixed: "x", def: "forward.0"}, "", "x")
	f(tagRule{prefix: "p.", fixed: "x", def: "forward.0"}, "a", "p.a")
	f(tagRule{prefix: "p.", fixed: "x", def: "forward.0"}, "", "p.")
}

func TestAFixedTagKeepsTheOrderOfAllTags(t *testing.T) {
	got := decodeFrom(t, bytes.NewReader(pack(
		list{"a", 1, dict{}}, list{"b", 2, dict{}}, list{"a", 3, dict{}})), &tagRule{fixed: "x"})
	if l := lines(got.events); l != "x @1.000000000 {}\nx @2.000000000 {}\nx @3.000000000 {}\n" {
		t.Error(l)
	}
}

func TestManyTagsAreBounded(t *testing.T) {
	var b []byte
	for i := range 10 * maxSlots {
		b = append(b, pack(list{fmt.Sprint("tag", i), i, dict{}}, list{"same", i, dict{}})...)
	}
	h := newHarness(bytes.NewReader(b), &tagRule{})
	for h.dec.message() == nil {
		if len(h.dec.out.slots) > maxSlots+1 || len(h.dec.out.live) > maxSlots {
			t.Fatalf("%d tags are remembered, %d have a batch", len(h.dec.out.slots), len(h.dec.out.live))
		}
	}
	if n := len(h.em.Events()); n != 20*maxSlots {
		t.Errorf("%d events", n)
	}
	last := int64(-1)
	for _, e := range h.em.Events() {
		if e.Tag == "same" {
			if e.Time <= last {
				t.Fatalf("events of one tag lost their order: %d after %d", e.Time, last)
			}
			last = e.Time
		}
	}
}

func TestLargeMessagesNeedLittleMemory(t *testing.T) {
	const size = 64 << 20
	blob := entries(size/1000, 1000)
	plain := pack(list{"t", bin(blob), dict{"chunk", "big"}})
	packed := pack(list{"t", bin(gz(blob)), dict{"chunk", "big", "compressed", "gzip"}})
	array := pack(list{"t", raw(append([]byte{0xdd, 0, 1, 6, 0x24}, blob...)), dict{"chunk", "big"}})
	if want := size / 1000; want != 0x10624 {
		t.Fatalf("BUG: the array header is for %d entries", want)
	}
	for name, b := range map[string][]byte{"packed": plain, "gzip": packed, "forward": array} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(bytes.NewReader(b), &tagRule{})
			h.dec.maxSize = 100 << 20
			count := &counter{}
			h.dec.out.emit = count
			if err := h.dec.message(); err != nil {
				t.Fatal(err)
			}
			if err := h.dec.out.flush(); err != nil {
				t.Fatal(err)
			}
			if count.events != size/1000 || count.largest > 2*maxBatch {
				t.Errorf("%d events, the largest batch has %d bytes", count.events, count.largest)
			}
			if ids := h.acks.list(t); !slices.Equal(ids, []string{"big"}) {
				t.Errorf("acknowledged %q", ids)
			}
			if len(h.dec.in.buf) > baseBuffer {
				t.Errorf("the read buffer grew to %d bytes", len(h.dec.in.buf))
			}
		})
	}
}

// counter is an emitter that only counts.
type counter struct{ events, batches, largest int }

func (c *counter) Emit(_ context.Context, b *event.Batch) error {
	c.events += len(b.Events)
	c.batches++
	c.largest = max(c.largest, b.Size())
	b.Free()
	return nil
}

func TestDecompressionIsLimited(t *testing.T) {
	bomb := gz(entries(20000, 1000)) // 20 MB in some KB; the harness allows 16 MiB
	got := decodeFrom(t, bytes.NewReader(pack(list{"t", bin(bomb), dict{"chunk", "x"}})), &tagRule{})
	if got.reason != "too_large" || len(got.acks) != 0 {
		t.Errorf("%s, acknowledged %q", got.reason, got.acks)
	}
}

// held is an emitter that keeps batches until told.
type held struct{ batches []*event.Batch }

func (h *held) Emit(_ context.Context, b *event.Batch) error {
	h.batches = append(h.batches, b)
	return nil
}

func TestAcknowledgedOnlyWhenAllBatchesAreDone(t *testing.T) {
	// The first message goes out in several batches; the second shares the last
	// of them.
	b := pack(list{"t", bin(entries(300, 1000)), dict{"chunk", "first"}}, list{"t", 1, dict{}, dict{"chunk", "second"}},
		list{"u", 1, dict{}, dict{"chunk", "third"}})
	h := newHarness(bytes.NewReader(b), &tagRule{})
	em := &held{}
	h.dec.out.emit = em
	for h.dec.message() == nil {
	}
	if err := h.dec.out.flush(); err != nil {
		t.Fatal(err)
	}
	n := len(em.batches)
	if n < 4 {
		t.Fatalf("the test needs more than %d batches", n)
	}
	check := func(when string, want ...string) {
		t.Helper()
		if got := h.acks.list(t); !slices.Equal(got, want) {
			t.Errorf("%s: acknowledged %q, want %q", when, got, want)
		}
	}
	check("nothing is done")
	em.batches[n-1].Free() // tag u
	check("u is done", "third")
	em.batches[n-2].Free()
	check("the last of t is done", "third", "second")
	for _, b := range em.batches[1 : n-2] {
		b.Free()
	}
	check("all but one of t are done", "third", "second")
	em.batches[0].Free()
	check("all are done", "third", "second", "first")
}

func TestNoAckForAMessageThatBreaksOff(t *testing.T) {
	whole := pack(list{"t", bin(entries(300, 1000)), dict{"chunk", "first"}})
	got := decodeBytes(t, whole[:len(whole)-3])
	if got.reason != "incomplete" || len(got.acks) != 0 || len(got.events) != 300 {
		t.Errorf("%s, %d events, acknowledged %q", got.reason, len(got.events), got.acks)
	}
}

func TestLargeBuffersShareABudget(t *testing.T) {
	large := pack(list{"t", sec, dict{"a", strings.Repeat("x", 200<<10)}})
	h := newHarness(bytes.NewReader(large), &tagRule{})
	h.dec.in.budget = &budget{limit: 100 << 10}
	err := h.dec.message()
	var m *forwardproto.Malformed
	if !errors.As(err, &m) || m.Reason != "memory_budget" {
		t.Fatalf("error %v", err)
	}
	h.dec.in.release()
	if n := h.dec.in.budget.used.Load(); n != 0 {
		t.Errorf("%d bytes of the budget were not given back", n)
	}
}

func TestALargeValueByteByByteIsCheap(t *testing.T) {
	// Were the value scanned from the start for every byte this would take
	// minutes.
	record := list{}
	for i := range 100_000 {
		record = append(record, i%100)
	}
	b := pack(list{"t", sec, dict{"a", record}}, list{"t", list{list{sec, dict{"a", record}}}})
	got := decodeFrom(t, iotest.OneByteReader(bytes.NewReader(b)), &tagRule{})
	if len(got.events) != 2 || got.reason != "" {
		t.Errorf("%d events, %s", len(got.events), got.reason)
	}
}
