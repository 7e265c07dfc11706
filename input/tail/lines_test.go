package tail

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestLines(t *testing.T) {
	f := func(name, content string, want ...string) {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.write("a.log", content)
			r.start()
			r.lines(want...)
		})
	}
	f("empty lines count", "one\n\n two \nthree\n", "one", "", " two ", "three")
	f("an unfinished line waits", "1\n2\nunfinished", "1", "2")
	f("carriage returns", "one\r\ntwo\r\n\r\nthr\ree\n", "one", "two", "\r", "thr\ree")
	f("zeros at the head", "\x00\x00\x00one\n\x00two\n", "one", "\x00two")
	f("nothing but zeros in front", strings.Repeat("\x00", 3*defaultReadSize+1)+"one\n", "one")
	f("any bytes", "nul \x00 mid\nctl \x01\n\xef\xbb\xbfbom\n\xff\xfe\n", "nul \x00 mid", "ctl \x01", "\ufeffbom", "\xff\xfe")
	f("many short ones", strings.Repeat("x\n", 3*maxEvents), strings.Split(strings.Repeat("x,", 3*maxEvents-1)+"x", ",")...)
}

func TestUnfinishedLineIsReadWhenItEnds(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "one\n")
	r.start()
	r.lines("one")
	r.append("a.log", "two\nthr")
	r.lines("one", "two")
	r.settle()
	r.append("a.log", "ee\nfour")
	r.lines("one", "two", "three")
	r.append("a.log", "\n")
	r.lines("one", "two", "three", "four")
}

func TestLongUnfinishedLineGrowing(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "one\n")
	r.start("buffer_max_size", "10M")
	r.lines("one")
	// Longer than what is read at once, and than what is probed at once.
	piece := strings.Repeat("0123456789abcdef", 5000)
	for range 8 {
		r.append("a.log", piece)
		pos := r.only().pos.Load
		size := pos() // at most the size now
		r.eventually("the piece is looked at", func() bool { st, _ := os.Stat(r.path("a.log")); return pos() == st.Size() && pos() >= size })
	}
	r.append("a.log", "end\ntwo\n")
	r.lines("one", strings.Repeat(piece, 8)+"end", "two")
}

// only returns the one file that is open.
func (r *rig) only() (f *file) {
	r.Helper()
	if len(r.in.keeper.files) != 1 {
		r.Fatalf("%d files are open", len(r.in.keeper.files))
	}
	for _, f = range r.in.keeper.files {
	}
	return f
}

func TestSkipEmptyLines(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "a\n\n \n\r\nb\n\n")
	r.start("skip_empty_lines", "on")
	r.lines("a", " ", "b")
	r.eventually("the empty lines count as read", func() bool { return r.only().ledger.end().offset == 10 })
}

func TestKeys(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "alpha\nbe\r\n")
	r.start("key", "line", "path_key", "file", "offset_key", "pos")
	r.append("a.log", "gamma\n")
	r.want(`{"file":"$/a.log","pos":0,"line":"alpha"}`, `{"file":"$/a.log","pos":6,"line":"be"}`, `{"file":"$/a.log","pos":10,"line":"gamma"}`)
}

func TestParser(t *testing.T) {
	r := newRig(t)
	r.write("a.log", `{"time":"1700000000","a":1}`+"\r\nodd\r\n{\"b\":2}\n{}\n")
	r.start("parser", "json", "path_key", "file", "offset_key", "pos")
	// A line that does not fit keeps its carriage return, as in Fluent Bit.
	r.want(`{"a":1,"file":"$/a.log","pos":0}`, `{"file":"$/a.log","pos":29,"log":"odd\r"}`, `{"b":2,"file":"$/a.log","pos":34}`, `{"file":"$/a.log","pos":42}`)
	events := r.em.Events()
	if events[0].Time != 1700000000e9 {
		t.Errorf("the time of the line is %d", events[0].Time)
	}
	if events[1].Time < 1700000001e9 {
		t.Errorf("a line without a time has %d", events[1].Time)
	}
}

func TestParsedRecordWithManyFields(t *testing.T) {
	r := newRig(t)
	var in, out bytes.Buffer
	for i := range 15 {
		fmt.Fprintf(&in, `,"k%d":%d`, i, i)
	}
	fmt.Fprintf(&out, `{%s,"file":"$/a.log","pos":0}`, in.String()[1:])
	r.write("a.log", "{"+in.String()[1:]+"}\n")
	r.start("parser", "json", "path_key", "file", "offset_key", "pos")
	r.want(out.String())
}

func TestUnknownParserIsReported(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "{\"a\":1}\n")
	r.start("parser", "missing")
	r.lines(`{"a":1}`)
	r.logged("there is no parser")
}

// The longest line is two bytes shorter than Buffer_Max_Size.
func TestLongLines(t *testing.T) {
	fits, long := strings.Repeat("f", 998), strings.Repeat("l", 999)
	f := func(name string, content string, opts []string, dropped uint64, want ...string) {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.write("a.log", content)
			r.start(append(opts, "buffer_chunk_size", "500", "buffer_max_size", "1k")...)
			r.lines(want...)
			r.settle()
			r.lines(want...)
			if n := plugintest.Dropped(r.env, "line_too_long"); n != dropped {
				t.Errorf("%d lines count as dropped, want %d", n, dropped)
			}
		})
	}
	stop, skip, cut := []string{}, []string{"skip_long_lines", "on"}, []string{"truncate_long_lines", "on"}
	f("stop", "a\n"+fits+"\n"+long+"\nb\n", stop, 0, "a", fits)
	f("stop without a line end", "a\n"+long, stop, 0, "a")
	f("skip", "a\n"+fits+"\n"+long+"\nb\n"+long+long+"\nc\n", skip, 2, "a", fits, "b", "c")
	f("skip at the head", long+"\n"+long+"\nb\n", skip, 2, "b")
	f("truncate", "a\n"+fits+"\n"+long+"\nb\n"+long+"more\nc\n", cut, 0, "a", fits, long, "b", long, "c")
	f("truncate wins", long+"more\nc\n", append(cut, skip...), 0, long, "c")
	f("truncate between characters", strings.Repeat("l", 998)+"é\nc\n", cut, 0, strings.Repeat("l", 998), "c")
	f("truncate what is no text", strings.Repeat("\x80", 1100)+"\nc\n", cut, 0, strings.Repeat("\x80", 999), "c")
}

// A line that is longer than what is read at once, and that takes many turns,
// costs no memory.
func TestVeryLongLine(t *testing.T) {
	for _, mode := range []string{"skip_long_lines", "truncate_long_lines"} {
		t.Run(mode, func(t *testing.T) {
			r := newRig(t)
			r.write("a.log", "a\n")
			r.must(os.Truncate(r.path("a.log"), 300<<20)) // zeros
			r.append("a.log", "\nb\n")
			r.start(mode, "on")
			r.em.Wait(t, map[string]int{"skip_long_lines": 2, "truncate_long_lines": 3}[mode])
			records := r.em.Records()
			if records[0] != `{"log":"a"}` || records[len(records)-1] != `{"log":"b"}` {
				t.Errorf("records: %.200q", records)
			}
		})
	}
}

func TestOffsetWithinALongLineIsNotStored(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "a\n"+strings.Repeat("l", 5000))
	r.start("skip_long_lines", "on", "buffer_max_size", "1k", "buffer_chunk_size", "1k")
	r.lines("a")
	r.eventually("the line is skipped", func() bool { return r.only().pos.Load() == 5002 })
	if end := r.only().ledger.end().offset; end != 2 {
		t.Errorf("the end is %d, want 2, where the long line starts", end)
	}
	r.append("a.log", "\nb\n")
	r.lines("a", "b")
	r.eventually("the line is done with", func() bool { m, _ := r.only().ledger.take(); return m.offset == 5005 })
}

func TestGivenUpFileIsNotReadAgainUntilReplaced(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "a\n"+strings.Repeat("l", 5000)+"\nb\n")
	r.start("buffer_max_size", "1k", "buffer_chunk_size", "1k")
	r.lines("a")
	r.logged("a line is longer than buffer_max_size")
	r.settle()
	r.append("a.log", "c\n")
	r.settle()
	r.lines("a")
	if n := plugintest.Rejected(r.env, "file_given_up"); n != 1 {
		t.Errorf("%d files count as given up", n)
	}
	r.must(os.Remove(r.path("a.log")))
	r.write("a.log", "new\n")
	r.lines("a", "new")
}

// FuzzLines checks that however a text is cut into reads, the lines are those of
// the text, and that no byte is used twice or never.
func FuzzLines(f *testing.F) {
	f.Add([]byte("one\ntwo\r\n\nthree"), 3, false)
	f.Add([]byte("\x00\x00one\n\x00two\n"), 1, true)
	f.Add([]byte("aaaaaaaaaaaaaaaaaaaaaaaaa\nb\n"), 7, false)
	f.Fuzz(func(t *testing.T, text []byte, step int, skip bool) {
		if step <= 0 {
			return
		}
		cfg := &Config{}
		cfg.Fields()
		cfg.Path = []string{"x"}
		cfg.BufferMaxSize, cfg.BufferChunkSize, cfg.SkipLongLines = 20, 20, true
		cfg.SkipEmptyLines = skip
		env := plugintest.Env(t)
		made, err := cfg.New(env)
		if err != nil {
			t.Fatal(err)
		}
		in := made.(*Input)
		fl := &file{}
		in.encode(fl)
		var got []string
		last := 0
		for from, to := 0, 0; to < len(text); {
			to = min(to+step, len(text))
			b := event.NewBatch("t")
			c := in.lines(b, fl, text[from:to], int64(from), 0, to == len(text))
			if c.used < 0 || c.used > to-from || c.safe > c.used || c.err != nil || c.rest {
				t.Fatalf("cut %+v of %d bytes", c, to-from)
			}
			if c.safe >= 0 {
				last = from + c.safe
			}
			for i := range b.Events {
				v, _ := b.Events[i].Get("log")
				s, _ := v.Str()
				got = append(got, string(s))
			}
			from += c.used
			b.Free()
		}
		if last != len(text) {
			t.Fatalf("%q by %d: the end is %d", text, step, last)
		}
		// The reference: leading zeros of a piece are dropped, so leave them out.
		if bytes.IndexByte(text, 0) >= 0 {
			return
		}
		var want []string
		lines := strings.Split(string(text), "\n")
		for i, l := range lines {
			if i == len(lines)-1 && l == "" || len(l) > 18 || skip && (l == "" || l == "\r" && i < len(lines)-1) {
				continue
			}
			if len(l) >= 2 {
				l = strings.TrimSuffix(l, "\r")
			}
			want = append(want, l)
		}
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Fatalf("%q by %d: lines %q, want %q", text, step, got, want)
		}
	})
}
