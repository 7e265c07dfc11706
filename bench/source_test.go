package main

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/tinylib/msgp/msgp"
)

// all writes n records of a source.
func all(t *testing.T, s source, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := s.write(&b, n); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestJSONLines(t *testing.T) {
	const n = 5000
	lines := strings.Split(strings.TrimSuffix(string(all(t, jsonLines, n)), "\n"), "\n")
	if len(lines) != n {
		t.Fatalf("got %d lines, want %d", len(lines), n)
	}
	for i, line := range lines {
		var rec struct {
			Seq              int
			Time, Level, Msg string
			Status           int     `json:"http_status"`
			Millis           float64 `json:"http_ms"`
			User             struct{ ID int }
		}
		if err := json.Unmarshal([]byte(line), &rec); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if rec.Seq != firstSeq+i || rec.Time == "" || rec.Level == "" || rec.Msg == "" || rec.Status == 0 {
			t.Fatalf("line %d: got %+v", i, rec)
		}
		if len(line) != lineSize {
			t.Fatalf("%s: got %d bytes, want %d", line, len(line), lineSize)
		}
	}
}

func TestTextLines(t *testing.T) {
	const n = 5000
	f := func(s source, pattern string) {
		t.Helper()
		lines := strings.Split(strings.TrimSuffix(string(all(t, s, n)), "\n"), "\n")
		if len(lines) != n {
			t.Fatalf("%s: got %d lines, want %d", s.name, len(lines), n)
		}
		re := regexp.MustCompile(pattern)
		for i, line := range lines {
			m := re.FindStringSubmatch(line)
			if m == nil || m[1] != strconv.Itoa(firstSeq+i) {
				t.Fatalf("%s: line %d does not fit: %s", s.name, i, line)
			}
		}
	}
	f(apacheLines, `^203\.0\.113\.\d+ - \S+ \[06/May/2024:07:\d\d:\d\d \+0000\] "[A-Z]+ /shop/\w+\?seq=(\d+) HTTP/1\.1" \d{3} \d+ "https://[^"]+" "Mozilla[^"]+"$`)
	f(criLines, `^2024-05-06T07:\d\d:\d\d\.\d{9}Z std(?:out|err) F seq=(\d+) .+$`)
	for line := range strings.Lines(string(all(t, criLines, 100))) {
		if len(line) != lineSize+1 {
			t.Fatalf("%s: got %d bytes, want %d", line, len(line), lineSize+1)
		}
	}
}

func TestSourcesAreTheSameEachTime(t *testing.T) {
	for _, s := range []source{jsonLines, apacheLines, criLines, forwardMessages, forwardPacked} {
		if !bytes.Equal(all(t, s, 3000), all(t, s, 3000)) {
			t.Errorf("%s differs", s.name)
		}
	}
}

// readEntry reads time and record and returns what follows and the sequence
// number.
func readEntry(t *testing.T, b []byte) (rest []byte, seq uint32) {
	t.Helper()
	if len(b) < 10 || b[0] != 0xd7 || b[1] != 0 {
		t.Fatalf("no event time: % x", b[:min(10, len(b))])
	}
	b = b[10:]
	fields, b, err := msgp.ReadMapHeaderBytes(b)
	if err != nil {
		t.Fatal(err)
	}
	size := len(b)
	for range fields {
		var key string
		if key, b, err = msgp.ReadStringBytes(b); err != nil {
			t.Fatal(err)
		}
		if key == "seq" {
			seq, b, err = msgp.ReadUint32Bytes(b)
		} else {
			_, b, err = msgp.ReadStringBytes(b)
		}
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
	}
	if size -= len(b); size < 280 || size > 320 {
		t.Fatalf("a record has %d bytes, want about 300", size)
	}
	return b, seq
}

func TestForwardMessages(t *testing.T) {
	const n = 3000
	b := all(t, forwardMessages, n)
	for i := range n {
		size, rest, err := msgp.ReadArrayHeaderBytes(b)
		if err != nil || size != 4 {
			t.Fatalf("message %d: array of %d, %v", i, size, err)
		}
		tag, rest, err := msgp.ReadStringBytes(rest)
		if err != nil || tag != forwardTag {
			t.Fatalf("message %d: tag %q, %v", i, tag, err)
		}
		rest, seq := readEntry(t, rest)
		if seq != uint32(firstSeq+i) {
			t.Fatalf("message %d: got number %d", i, seq)
		}
		if size, b, err = msgp.ReadMapHeaderBytes(rest); err != nil || size != 0 {
			t.Fatalf("message %d: options %d, %v", i, size, err)
		}
	}
	if len(b) != 0 {
		t.Errorf("%d bytes are left", len(b))
	}
}

func TestForwardPacked(t *testing.T) {
	const n = 2500 // The last message is not full.
	b := all(t, forwardPacked, n)
	next := firstSeq
	for len(b) > 0 {
		size, rest, err := msgp.ReadArrayHeaderBytes(b)
		if err != nil || size != 3 {
			t.Fatalf("array of %d, %v", size, err)
		}
		tag, rest, err := msgp.ReadStringBytes(rest)
		if err != nil || tag != forwardTag {
			t.Fatalf("tag %q, %v", tag, err)
		}
		entries, rest, err := msgp.ReadBytesZC(rest)
		if err != nil {
			t.Fatal(err)
		}
		count := 0
		for len(entries) > 0 {
			var seq uint32
			if size, entries, err = msgp.ReadArrayHeaderBytes(entries); err != nil || size != 2 {
				t.Fatalf("entry of %d, %v", size, err)
			}
			if entries, seq = readEntry(t, entries); seq != uint32(next) {
				t.Fatalf("got number %d, want %d", seq, next)
			}
			next++
			count++
		}
		var options map[string]any
		var err2 error
		if options, b, err2 = msgp.ReadMapStrIntfBytes(rest, nil); err2 != nil || options["size"] != int64(count) {
			t.Fatalf("options %v, %v, want size %d", options, err2, count)
		}
	}
	if next != firstSeq+n {
		t.Errorf("got %d records, want %d", next-firstSeq, n)
	}
}

func BenchmarkSources(b *testing.B) {
	for _, s := range []source{jsonLines, apacheLines, criLines, forwardMessages, forwardPacked} {
		b.Run(s.name, func(b *testing.B) {
			var buf []byte
			for i := 0; i < b.N; {
				var k int
				buf, k = s.next(buf[:0], i, b.N)
				i += k
			}
		})
	}
}
