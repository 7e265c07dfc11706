package tail

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

func zipped(texts ...string) string {
	var b bytes.Buffer
	for _, text := range texts {
		w := gzip.NewWriter(&b)
		_, _ = w.Write([]byte(text))
		_ = w.Close()
	}
	return b.String()
}

func TestGzip(t *testing.T) {
	f := func(name, content string, want ...string) {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.write("a.GZ", content)
			r.start("path", "$/*.GZ")
			r.lines(want...)
			r.settle()
			r.lines(want...)
		})
	}
	f("one member", zipped("one\ntwo\n"), "one", "two")
	f("members", zipped("one\ntw", "", "o\nthree\n"), "one", "two", "three")
	f("an empty text", zipped(""))
	f("an empty file", "")
	// Nothing is appended to it as a rule.
	f("no line feed at the end", zipped("one\ntwo"), "one", "two")
	f("zeros behind", zipped("one\n")+strings.Repeat("\x00", 100), "one")
	f("large", zipped(strings.Repeat("0123456789\n", 100_000)), strings.Split(strings.Repeat("0123456789,", 99_999)+"0123456789", ",")...)
	f("no gzip", "hello\n")
	f("broken", zipped("one\n" + noise())[:5000]+strings.Repeat("\xff", 5000), "one")
}

func noise() string {
	rnd := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	for range 10_000 {
		fmt.Fprintf(&b, "%d", rnd.Uint64())
	}
	return b.String()
}

func TestGzipGrowing(t *testing.T) {
	r := newRig(t)
	data := zipped("one\ntwo\n", "three\n", "four\n")
	r.write("a.gz", data[:5])
	r.start("path", "$/*.gz", "offset_key", "o", "db", "$/pos.db")
	for i := 5; i < len(data); i++ {
		r.append("a.gz", data[i:i+1])
		if i%7 == 0 {
			r.eventually("it is looked at", func() bool { return r.only().pos.Load() == int64(i+1) })
		}
	}
	want := []string{`{"o":0,"log":"one"}`, `{"o":4,"log":"two"}`, `{"o":8,"log":"three"}`, `{"o":14,"log":"four"}`}
	r.want(want...)
	r.eventually("it is read to its end", func() bool { return r.only().pos.Load() == int64(len(data)) && r.only().ledger.settled() })
	r.stop()
	if rows := readRows(t, r.path("pos.db")); len(rows) != 1 || rows[0].offset != int64(len(data)) {
		t.Errorf("rows %+v", rows)
	}
	r.append("a.gz", zipped("five\n"))
	r.start("path", "$/*.gz", "db", "$/pos.db")
	r.want(append(want, `{"log":"five"}`)...)
	r.must(os.WriteFile(r.path("a.gz"), []byte(zipped("new\n")), 0))
	r.want(append(want, `{"log":"five"}`, `{"log":"new"}`)...)
}

// Fluent Bit stores offsets that are within a member; from there nothing can be
// read, so the file is read from its head.
func TestGzipOffsetWithinAMember(t *testing.T) {
	r := newRig(t)
	r.write("a.gz", zipped("one\n", "two\n"))
	r.must(os.WriteFile(r.path("x"), nil, 0o644))
	execSQL(t, r.path("pos.db"), createTable,
		"INSERT INTO in_tail_files (name, inode, offset, created) VALUES ('x', "+digits64(inodeOf(t, r.path("a.gz")))+", 7, 0)")
	r.start("path", "$/*.gz", "db", "$/pos.db")
	r.lines("one", "two")
}

func TestGzipLongLines(t *testing.T) {
	r := newRig(t)
	r.write("a.gz", zipped("a\n"+strings.Repeat("l", 3<<20)+"\nb\n"))
	r.start("path", "$/*.gz", "skip_long_lines", "on")
	r.lines("a", "b")
}

func TestGzipShortLines(t *testing.T) {
	r := newRig(t)
	r.write("a.gz", zipped(strings.Repeat("x\n", 3*maxEvents+1)))
	r.start("path", "$/*.gz")
	r.em.Wait(t, 3*maxEvents+1)
}
