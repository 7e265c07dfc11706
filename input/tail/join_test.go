package tail

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/parser"
	"github.com/kagarilog/kagari/parser/multiline"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

// joinRig is a rig with the parsers that the tests of joined lines name.
func joinRig(t *testing.T) *rig {
	r := newRig(t)
	r.joinEnv()
	return r
}

func (r *rig) joinEnv() {
	r.newEnv()
	r.env.Parser = func(name string) (plugin.Parser, error) {
		props := map[string][]string{
			"first":  {"format", "regex", "regex", `^(?<mon>[A-Z][a-z]{2}) (?<day>\d+) (?<log>.*)`},
			"level":  {"format", "regex", "regex", `^\s+level=(?<level>\w+) (?<note>.*)`},
			"json":   {"format", "json"},
			"dated":  {"format", "json", "time_key", "time", "time_format", "%s"},
			"docker": {"format", "regex", "regex", `^\{"log": ?"(?<y>\d{4})`},
		}[name]
		if props == nil {
			return nil, fmt.Errorf("there is no parser %q", name)
		}
		p, ps := parser.New(name, plugintest.Props(props...), option.Pos{})
		if p == nil {
			return nil, ps.Err()
		}
		return p, nil
	}
}

// joinFor sets how long in waits for further lines; for multiline parsers it is
// half a second at least.
func (r *rig) joinFor(in *Input, d time.Duration) {
	r.Helper()
	j := &in.joining
	j.flush, j.dockerFlush = d, d
	if j.core != nil {
		var err error
		j.core, err = multiline.NewJoiner([]*multiline.Parser{multiline.NewBuiltin("cri")}, multiline.Options{Timeout: max(d, time.Second/2)})
		r.must(err)
	}
}

var (
	firstLineMode = []string{"multiline", "on", "parser_firstline", "first"}
	dockerMode    = []string{"docker_mode", "on"}
	criMode       = []string{"multiline.parser", "cri"}
)

func with(kv []string, more ...string) []string { return append(slices.Clone(kv), more...) }

// joinCases are texts, options, and the records that Fluent Bit 5.1.1 makes of
// them, except where a comment says otherwise.
var joinCases = []struct {
	name string
	kv   []string
	text string
	want []string
}{
	{"cri", []string{"multiline.parser", "cri", "path_key", "p", "offset_key", "o"},
		"2024-04-01T12:00:00.1Z stdout F whole\n2024-04-01T12:00:00.2Z stdout P a\n2024-04-01T12:00:00.3Z stderr F e\n" +
			"2024-04-01T12:00:00.4Z stdout F b\nnot\n2024-04-01T12:00:00.5Z stdout P pend\n",
		[]string{
			`{"time":"2024-04-01T12:00:00.1Z","stream":"stdout","_p":"F","log":"whole","p":"$/a.log","o":0}`,
			`{"time":"2024-04-01T12:00:00.3Z","stream":"stderr","_p":"F","log":"e","p":"$/a.log","o":72}`,
			`{"time":"2024-04-01T12:00:00.2Z","stream":"stdout","_p":"P","log":"ab","p":"$/a.log","o":106}`,
			`{"log":"not","p":"$/a.log","o":140}`,
			`{"time":"2024-04-01T12:00:00.5Z","stream":"stdout","_p":"P","log":"pend","p":"$/a.log","o":181}`,
		}},
	{"docker and cri", []string{"multiline.parser", "docker", "multiline.parser", "cri", "path_key", "p", "offset_key", "o"},
		`{"log":"a ","stream":"stdout","time":"2024-04-01T12:00:00.1Z"}` + "\n2024-04-01T12:00:00.2Z stderr P x\n" +
			`{"log":"b\n","stream":"stdout","time":"2024-04-01T12:00:00.3Z"}` + "\n2024-04-01T12:00:00.4Z stderr F y\nloose\r\n\r\n" +
			"2024-04-01T12:00:00.5Z stderr F \n2024-04-01T12:00:00.6Z stderr P tail\n",
		[]string{
			`{"log":"a b\n","stream":"stdout","time":"2024-04-01T12:00:00.1Z","p":"$/a.log","o":97}`,
			`{"time":"2024-04-01T12:00:00.2Z","stream":"stderr","_p":"P","log":"xy","p":"$/a.log","o":161}`,
			`{"log":"loose","p":"$/a.log","o":195}`,
			`{"log":"\r","p":"$/a.log","o":202}`,
			`{"time":"2024-04-01T12:00:00.5Z","stream":"stderr","_p":"F","log":"","p":"$/a.log","o":204}`,
			`{"time":"2024-04-01T12:00:00.6Z","stream":"stderr","_p":"P","log":"tail","p":"$/a.log","o":274}`,
		}},
	{"java and python", []string{"multiline.parser", "java, python", "path_key", "p", "offset_key", "o", "key", "text", "parser", "json"},
		"java.lang.RuntimeException: boom\n\tat a.b(C.java:1)\r\n\tat c.d(E.java:2)\nCaused by: java.lang.X: y\n\tat q.q(Q.java:3)\nplain\n\n" +
			" Traceback\nTraceback (most recent call last):\n  File \"x.py\", line 1, in f\n    g()\nValueError: bad\nend\n",
		[]string{
			`{"log":"java.lang.RuntimeException: boom\n\tat a.b(C.java:1)\n\tat c.d(E.java:2)\nCaused by: java.lang.X: y\n\tat q.q(Q.java:3)\n","p":"$/a.log","o":114}`,
			`{"log":"plain\n","p":"$/a.log","o":114}`,
			`{"log":" Traceback\n","p":"$/a.log","o":121}`,
			`{"log":"Traceback (most recent call last):\n  File \"x.py\", line 1, in f\n    g()\nValueError: bad\n","p":"$/a.log","o":203}`,
			`{"log":"end\n","p":"$/a.log","o":219}`,
		}},
	// Lines of no record come behind the records of the same read, as in Fluent Bit,
	// which loses a record with an empty line.
	{"first line", with(firstLineMode, "parser_1", "level", "path_key", "p", "offset_key", "o"),
		"loose head\nJun 3 start of a\n more of a\n   level=warn note1\n cont note\nsecond more of a\nJun 4 start of b\nrest b\r\n\nJun 5 c\n  level=x y\n",
		[]string{
			`{"p":"$/a.log","mon":"Jun","day":"3","log":"start of a\n more of a","level":"warn","note":"note1\n cont note\nsecond more of a"}`,
			`{"p":"$/a.log","mon":"Jun","day":"4","log":"start of b\nrest b\n"}`,
			`{"p":"$/a.log","o":0,"log":"loose head"}`,
			`{"p":"$/a.log","mon":"Jun","day":"5","log":"c","level":"x","note":"y"}`,
		}},
	// Fluent Bit loses what parser_1 reads before a first line.
	{"fields before the first line", with(firstLineMode, "parser_1", "level", "parser", "json"),
		"  level=info before\nJun 3 a\n  level=x note\n  b\n  level=y two\n  c\nJun 4 d\n",
		[]string{
			`{"level":"info","note":"before"}`,
			`{"mon":"Jun","day":"3","log":"a","level":"y","note":"two\n  c"}`,
			`{"mon":"Jun","day":"4","log":"d"}`,
		}},
	{"first line that ends with no text", []string{"multiline", "on", "parser_firstline", "json"},
		"{\"n\":1}\n cont\n{\"m\":\"x\",\"n\":2}\n more\n{\"n\":3,\"m\":\"y\"}\n z\n",
		[]string{`{"n":1}`, `{"m":"x","n":2}`, `{"log":" cont"}`, `{"log":" more"}`, `{"n":3,"m":"y\n z"}`}},
	// The offset is that of the first line; in Fluent Bit that of the read.
	{"docker mode", with(dockerMode, "path_key", "p", "offset_key", "o"),
		`{"log": "one\n", "stream": "stdout"}` + "\n" + `{"log": "two a ", "x":1}` + "\n" + `{"log": "err\n", "stream": "stderr"}` + "\nnot json\r\n" +
			`{"nolog":1}` + "\n" + `{"log":"pend ","k":1}` + "\nplain\n" + `{"log":"at end ","k":2}` + "\n",
		[]string{
			`{"p":"$/a.log","o":0,"log":"{\"log\": \"one\\n\", \"stream\": \"stdout\"}"}`,
			`{"p":"$/a.log","o":37,"log":"{\"log\": \"two a err\\n\", \"stream\": \"stderr\"}"}`,
			`{"p":"$/a.log","o":99,"log":"not json"}`,
			`{"p":"$/a.log","o":109,"log":"{\"nolog\":1}"}`,
			`{"p":"$/a.log","o":121,"log":"{\"log\":\"pend \",\"k\":1}"}`,
			`{"p":"$/a.log","o":143,"log":"plain"}`,
			`{"p":"$/a.log","o":149,"log":"{\"log\":\"at end \",\"k\":2}"}`,
		}},
	{"docker mode with first lines", with(dockerMode, "docker_mode_parser", "docker", "parser", "json", "path_key", "p"),
		`{"log":"loose\n"}` + "\n" + `{"log":"cont0\n"}` + "\n" + `{"log":"2024 first ","a":1}` + "\n" + `{"log":"part2\n","a":2}` + "\n" + `{"log":" at x\n","a":3}` + "\n" +
			`{"log":"2025 second\n","a":4}` + "\nnot json\n" + `{"log":"after\n"}` + "\n" + `{"log":"2026 t\n"}` + "\n" + `{"log":" last\n"}` + "\n",
		[]string{
			`{"log":"loose\n","p":"$/a.log"}`,
			`{"log":"cont0\n","p":"$/a.log"}`,
			`{"log":"2024 first part2\n at x\n","a":3,"p":"$/a.log"}`,
			`{"log":"2025 second\n","a":4,"p":"$/a.log"}`,
			`{"p":"$/a.log","log":"not json"}`,
			`{"log":"after\n","p":"$/a.log"}`,
			`{"log":"2026 t\n last\n","p":"$/a.log"}`,
		}},
}

func TestJoinedRecords(t *testing.T) {
	for _, c := range joinCases {
		t.Run(c.name, func(t *testing.T) {
			r := joinRig(t)
			r.write("a.log", c.text)
			r.start(c.kv...)
			r.eventually("the file is read", func() bool { return r.in.unread.Load() == 0 })
			r.stop()
			r.exactly(c.want...)
		})
	}
}

// byHand drives an input without Run.
func (r *rig) byHand(kv ...string) (in *Input, f *file) {
	r.Helper()
	in = r.make(kv...)
	r.must(in.keeper.start(time.Now()))
	f = in.queue.next()
	if f == nil {
		r.Fatal("there is no file")
	}
	return in, f
}

func (r *rig) turn(in *Input, f *file, out plugin.Emitter) {
	r.Helper()
	for more := true; more; {
		var err error
		if more, err = in.turn(r.Context(), out, f); err != nil {
			r.Fatal(err)
		}
		in.holders.note(f)
	}
}

// However a file is read in pieces, its records are the same. Only the place of
// lines that belong to none depends on it.
func TestJoinedRecordsAtEverySplit(t *testing.T) {
	for _, c := range joinCases {
		for split := range len(c.text) {
			r := joinRig(t)
			r.write("a.log", c.text[:split])
			in, f := r.byHand(c.kv...)
			r.turn(in, f, r.em)
			r.append("a.log", c.text[split:])
			r.turn(in, f, r.em)
			r.must(in.letGo(t.Context(), r.em, f, true))
			if f.ledger.end().offset != int64(len(c.text)) || f.holds.Load() {
				t.Errorf("%s: the offset is %d in the end, want %d", c.name, f.ledger.end().offset, len(c.text))
			}
			r.must(in.Close())
			r.exactlyInAnyOrder(c.want...)
			if t.Failed() {
				t.Fatalf("%s, split at %d", c.name, split)
			}
		}
	}
}

// A record is complete after its time, without a further line; what follows is
// not a part of it.
func TestJoinedRecordsInTime(t *testing.T) {
	f := func(name string, kv []string, text, want, more, after string) {
		t.Run(name, func(t *testing.T) {
			r := joinRig(t)
			r.write("a.log", text)
			in := r.make(kv...)
			r.joinFor(in, 50*time.Millisecond)
			r.run = plugintest.Run(t, in, r.em)
			r.want(want)
			r.append("a.log", more)
			r.want(want, after)
		})
	}
	f("first line", firstLineMode, "Jun 3 a\n b\n", `{"mon":"Jun","day":"3","log":"a\n b"}`, " c\n", `{"log":" c"}`)
	f("docker", with(dockerMode, "parser", "json"), `{"log":"a"}`+"\n"+`{"log":"b"}`+"\n", `{"log":"ab"}`, `{"log":"c"}`+"\n", `{"log":"c"}`)
	f("cri", criMode, "2024-04-01T12:00:00Z stdout P a\n", `{"time":"2024-04-01T12:00:00Z","stream":"stdout","_p":"P","log":"a"}`,
		"x\n", `{"log":"x"}`)
}

// What is in the file already belongs to a record, however late it is read.
func TestJoinedRecordsOfALateReader(t *testing.T) {
	r := joinRig(t)
	r.write("a.log", "Jun 3 a\n")
	in, f := r.byHand(firstLineMode...)
	in.joining.flush = time.Nanosecond
	r.turn(in, f, r.em)
	in.queue.done(f, false)
	r.append("a.log", " b\n")
	r.must(in.expire(t.Context(), r.em))
	r.exactly(`{"mon":"Jun","day":"3","log":"a\n b"}`)
	if wait := in.holders.wait(0); len(in.holders.files) != 0 || wait < time.Minute {
		t.Errorf("%d files are held, the next in %v", len(in.holders.files), wait)
	}
	r.must(in.Close())
}

// A clock that is set back holds no record for long.
func TestJoinedRecordsWhenTheClockIsSetBack(t *testing.T) {
	for _, kv := range [][]string{firstLineMode, with(dockerMode, "parser", "json")} {
		r := joinRig(t)
		r.write("a.log", "Jun 3 a\n"+`{"log":"b"}`+"\n")
		in, f := r.byHand(kv...)
		r.turn(in, f, r.em)
		in.queue.done(f, false)
		before := len(r.em.Records())
		r.must(in.expire(t.Context(), r.em))
		if n := len(r.em.Records()); n != before || !f.holds.Load() {
			t.Errorf("%q: %d records at once, want %d", kv, n, before)
		}
		switch j := f.join.(type) {
		case *firstLineJoiner:
			j.since += int64(time.Hour)
		case *dockerJoiner:
			j.since += int64(time.Hour)
		}
		in.holders.due += int64(time.Hour)
		r.must(in.expire(t.Context(), r.em))
		if n := len(r.em.Records()); n != before+1 || f.holds.Load() {
			t.Errorf("%q: %d records, want %d", kv, n, before+1)
		}
		r.must(in.Close())
	}
}

// The stored offset is in front of what is held, until it was delivered.
func TestOffsetStaysInFrontOfWhatIsHeld(t *testing.T) {
	const one, two, three = "2024-04-01T12:00:00.1Z stdout F 1\n", "2024-04-01T12:00:00.2Z stdout P a\n", "2024-04-01T12:00:00.3Z stderr F e\n"
	const four = "2024-04-01T12:00:00.4Z stdout F b\n"
	record := func(at, stream, p, log string) string {
		return fmt.Sprintf(`{"time":"2024-04-01T12:00:00.%sZ","stream":%q,"_p":%q,"log":%q}`, at, stream, p, log)
	}
	r := joinRig(t)
	r.write("a.log", one+two+three)
	stored := func(want int) {
		t.Helper()
		r.eventually(fmt.Sprintf("the stored offset is %d", want), func() bool {
			rows := readRows(t, r.path("pos.db"))
			return len(rows) == 1 && rows[0].offset == int64(want)
		})
	}
	mortal := &refusing{}
	r.em = &mortal.Emitter
	r.run = plugintest.Run(t, r.make(with(criMode, "db", "$/pos.db")...), mortal)
	r.want(record("1", "stdout", "F", "1"), record("3", "stderr", "F", "e"))
	stored(len(one))
	// When it dies, what is held is not sent.
	mortal.refuse.Store(true)
	_ = r.run.Stop()
	r.must(r.in.Close())

	// It is read again from its start, together with what was between.
	r.joinEnv()
	r.em = &plugintest.Emitter{}
	r.start(with(criMode, "db", "$/pos.db")...)
	r.want(record("3", "stderr", "F", "e"))
	release := r.em.HoldAcks()
	r.append("a.log", four)
	r.want(record("3", "stderr", "F", "e"), record("2", "stdout", "P", "ab"))
	r.settle()
	stored(len(one))
	release()
	stored(len(one + two + three + four))
}

func TestJoinedRecordsOfRotatedFiles(t *testing.T) {
	bothWays(t, func(t *testing.T, r *rig, kv ...string) {
		r.joinEnv()
		r.write("a.log", "Jun 3 a\n b\n")
		r.start(append(with(firstLineMode, "multiline_flush", "1h", "rotate_wait", "300ms"), kv...)...)
		r.eventually("the file is read", func() bool { return r.in.unread.Load() == 0 })
		r.rename("a.log", "a.log.1")
		r.append("a.log.1", " c\n")
		r.write("a.log", " not of it\nJun 4 d\n")
		r.want(`{"log":" not of it"}`, `{"mon":"Jun","day":"3","log":"a\n b\n c"}`)
		r.stop()
		r.exactly(`{"log":" not of it"}`, `{"mon":"Jun","day":"3","log":"a\n b\n c"}`, `{"mon":"Jun","day":"4","log":"d"}`)
	})
}

// What is held of a file that is truncated cannot be read again.
func TestJoinedRecordsOfTruncatedFiles(t *testing.T) {
	for name, text := range map[string]string{"shorter": " x\n", "other": " x that is longer than before\n"} {
		t.Run(name, func(t *testing.T) {
			r := joinRig(t)
			r.write("a.log", "Jun 3 a\n b\n")
			r.start(with(firstLineMode, "multiline_flush", "1h")...)
			r.eventually("the file is read", func() bool { return r.in.unread.Load() == 0 })
			r.write("a.log", text)
			r.want(`{"mon":"Jun","day":"3","log":"a\n b"}`, `{"log":"`+strings.TrimSuffix(text, "\n")+`"}`)
		})
	}
}

func TestJoinedRecordsAtExitOnEOF(t *testing.T) {
	r := joinRig(t)
	r.write("a.log", "Jun 3 a\n b\n")
	r.start(with(firstLineMode, "exit_on_eof", "on")...)
	if err := r.run.Wait(); !errors.Is(err, plugin.ErrStop) {
		t.Errorf("Run: %v", err)
	}
	r.exactly(`{"mon":"Jun","day":"3","log":"a\n b"}`)
}

func TestJoinedRecordsOfCompressedFiles(t *testing.T) {
	r := joinRig(t)
	r.write("a.log.gz", zipped("Jun 3 a\n b\n", " c\nJun 4 d\n"))
	r.start(with(firstLineMode, "path", "$/*.gz", "db", "$/pos.db")...)
	r.want(`{"mon":"Jun","day":"3","log":"a\n b\n c"}`)
	r.settle()
	if rows := readRows(t, r.path("pos.db")); rows[0].offset != 0 {
		t.Errorf("the stored offset is %d while something is held", rows[0].offset)
	}
	r.stop()
	r.exactly(`{"mon":"Jun","day":"3","log":"a\n b\n c"}`, `{"mon":"Jun","day":"4","log":"d"}`)
	st, err := os.Stat(r.path("a.log.gz"))
	r.must(err)
	if rows := readRows(t, r.path("pos.db")); rows[0].offset != st.Size() {
		t.Errorf("the stored offset is %d in the end, want %d", rows[0].offset, st.Size())
	}
}

func TestJoinedRecordsOfFilesThatAreGivenUp(t *testing.T) {
	r := joinRig(t)
	r.write("a.log", "Jun 3 a\n b\n"+strings.Repeat("x", 300)+"\n c\n")
	r.start(with(firstLineMode, "multiline_flush", "1h", "buffer_chunk_size", "200", "buffer_max_size", "200")...)
	r.want(`{"mon":"Jun","day":"3","log":"a\n b"}`)
	r.logged("file is given up")
}

// A cut line is no part of a record, and in the older ways ends one.
func TestJoinedRecordsAndCutLines(t *testing.T) {
	long := strings.Repeat("x", 300)
	f := func(kv []string, text string, want ...string) {
		t.Helper()
		r := joinRig(t)
		r.write("a.log", text)
		r.start(with(kv, "truncate_long_lines", "on", "skip_empty_lines", "on", "buffer_chunk_size", "200", "buffer_max_size", "200")...)
		r.eventually("the file is read", func() bool { return r.in.unread.Load() == 0 })
		r.stop()
		r.exactly(want...)
	}
	f(firstLineMode, "Jun 3 a\n  b\n"+long+"\n after\nJun 4 c\n\n d\n", `{"mon":"Jun","day":"3","log":"a\n  b"}`,
		`{"log":"`+long[:199]+`"}`, `{"log":" after"}`, `{"mon":"Jun","day":"4","log":"c\n d"}`)
	f([]string{"multiline.parser", "java", "offset_key", "o"}, "java.lang.AException: a\n\tat b.c(D.java:1)\n"+long+"\n\tat after.x(Y.java:2)\nend\n",
		`{"o":42,"log":"`+long[:199]+`"}`, `{"log":"java.lang.AException: a\n\tat b.c(D.java:1)\n\tat after.x(Y.java:2)\n","o":365}`, `{"log":"end\n","o":365}`)
}

// Records older than ignore_older are dropped with all their lines.
func TestJoinedRecordsThatAreTooOld(t *testing.T) {
	f := func(kv []string, text string, dropped uint64, want ...string) {
		t.Helper()
		r := joinRig(t)
		r.write("a.log", text)
		r.start(with(kv, "ignore_older", "1d")...)
		r.eventually("the file is read", func() bool { return r.in.unread.Load() == 0 })
		r.stop()
		r.exactly(want...)
		if n := plugintest.Dropped(r.env, "older_than_ignore_older"); n != dropped {
			t.Errorf("%d records or lines count as dropped, want %d", n, dropped)
		}
	}
	f([]string{"multiline", "on", "parser_firstline", "dated"}, `{"time":"1700000000","log":"old"}`+"\n of it\n"+`{"log":"new"}`+"\n of it\n", 2, `{"log":"new\n of it"}`)
	f(with(dockerMode, "parser", "dated"), `{"log":"a ","time":"1700000000"}`+"\n"+`{"log":"b\n","time":"1700000000"}`+"\n"+`{"log":"new\n"}`+"\n", 1, `{"log":"new\n"}`)
}

// refusing takes nothing while refuse is set.
type refusing struct {
	plugintest.Emitter
	refuse atomic.Bool
}

func (e *refusing) Emit(ctx context.Context, b *event.Batch) error {
	if e.refuse.Load() {
		b.Ack = nil
		b.Free()
		return errors.New("refused")
	}
	return e.Emitter.Emit(ctx, b)
}

// What was not taken is joined again from its first line.
func TestJoinedRecordsThatAreRefused(t *testing.T) {
	for _, c := range joinCases {
		t.Run(c.name, func(t *testing.T) {
			r := joinRig(t)
			r.write("a.log", "")
			em := &refusing{}
			in, f := r.byHand(c.kv...)
			for _, line := range strings.SplitAfter(c.text, "\n") {
				r.append("a.log", line)
				em.refuse.Store(true)
				for range 2 {
					_, err := in.turn(t.Context(), em, f)
					if err == nil {
						break
					}
				}
				em.refuse.Store(false)
				r.turn(in, f, em)
			}
			em.refuse.Store(f.holds.Load())
			if em.refuse.Load() && in.letGo(t.Context(), em, f, true) == nil {
				t.Error("what is held was taken")
			}
			em.refuse.Store(false)
			r.turn(in, f, em)
			r.must(in.letGo(t.Context(), em, f, true))
			r.must(in.Close())
			got := em.Records()
			for _, want := range c.want {
				want = strings.ReplaceAll(want, "$", r.dir)
				if !slices.Contains(got, want) {
					t.Errorf("there is no record\n%s\nin\n%s", want, strings.Join(got, "\n"))
				}
			}
		})
	}
}

// Records do not grow without end.
func TestJoinedRecordsThatAreTooLong(t *testing.T) {
	f := func(name string, limit int64, kv []string, text string, pieces int) {
		t.Run(name, func(t *testing.T) {
			r := joinRig(t)
			r.env.Service.MultilineBufferLimit = limit
			r.write("a.log", text)
			r.start(append(kv, "path_key", "p")...)
			r.eventually("the file is read", func() bool { return r.in.unread.Load() == 0 })
			r.stop()
			events := r.em.Events()
			if len(events) != pieces {
				t.Fatalf("%d records, want %d", len(events), pieces)
			}
			size := 0
			for _, e := range events {
				size += strings.Count(e.Record, "x")
				if e.Meta != `{"multiline_truncated":true}` || len(e.Record) > 3<<20 {
					t.Errorf("a record of %d bytes has the metadata %s", len(e.Record), e.Meta)
				}
			}
			if want := strings.Count(text, "x"); pieces > 1 && size < want {
				t.Errorf("the records have %d of %d letters", size, want)
			}
			if plugintest.Counters(r.env)["fluentbit_input_multiline_truncated_total"] == 0 {
				t.Error("it is not counted")
			}
		})
	}
	part := strings.Repeat("x", 10_000)
	f("first line", 1000, firstLineMode, "Jun 3 a\n"+strings.Repeat(part+"\n", 500), 3)
	f("fields", 1000, with(firstLineMode, "parser_1", "level"), "Jun 3 a\n"+strings.Repeat("  level=i "+strings.Repeat("y", 10_000)+"\n", 500), 3)
	f("docker", 1000, dockerMode, strings.Repeat(`{"log":"`+part+`"}`+"\n", 500), 3)
	f("java", 1000, []string{"multiline.parser", "java"}, "java.lang.AException: a\n"+strings.Repeat("\tat a.b("+strings.Repeat("x", 500)+")\n", 2), 1)
}

func TestLogText(t *testing.T) {
	f := func(line, want string) {
		t.Helper()
		got := "none"
		if from, to, ok := logText([]byte(line)); ok {
			got = line[from:to]
		}
		if got != want {
			t.Errorf("the text of %s is %s, want %s", line, got, want)
		}
	}
	f(`{"log":"a"}`, `a`)
	f(`{ "x" : {"log":"no","y":[1,"]"]} , "log" : "a\"b\\" , "z":null} `, `a\"b\\`)
	f(`{"log":"","log":"second"}`, ``)
	f(`{"log":1}`, "none")
	f(`{"a":1}`, "none")
	f(`{"log":"a"`, "none")
	f(`{"log":"a`, "none")
	f(`{"log":"a",}`, "none")
	f(`{"log":"a"} x`, "none")
	f(` {"log":"a"}`, "none")
	f(`["log","a"]`, "none")
	f(`{"a":,"log":"a"}`, "none")
	f(`{}`, "none")
	f(``, "none")
	for text, want := range map[string]bool{``: false, `n`: false, `\n`: true, `a\n`: true, `\\n`: false, `a\\\n`: true, `\nx`: false} {
		if got := endsLine([]byte(text)); got != want {
			t.Errorf("%s ends a line: %v", text, got)
		}
	}
}

func FuzzLogText(f *testing.F) {
	f.Add([]byte(`{"a":[{}],"log":"x\"","b":1}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if from, to, ok := logText(line); ok && (from > to || from < 1 || line[from-1] != '"' || line[to] != '"') {
			t.Errorf("%q: %d to %d", line, from, to)
		}
	})
}
