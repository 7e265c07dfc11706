package deadletter_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagarilog/kagari/deadletter"
	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/filelock"
)

// TestMain is also the processes that tests kill.
func TestMain(m *testing.M) {
	if dir := os.Getenv("DEADLETTER_WRITE"); dir != "" {
		writeForEver(dir)
	}
	if dir := os.Getenv("DEADLETTER_FILL"); dir != "" {
		fillUp(dir)
	}
	os.Exit(m.Run())
}

// writeForEver writes one letter after the other and prints its number once it
// is said to be safe.
func writeForEver(dir string) {
	first, _ := strconv.Atoi(os.Getenv("DEADLETTER_FIRST"))
	box := deadletter.New(dir, 0, nil)
	for n := first; ; n++ {
		kept, err := box.Put(chunk("t", 1, n), deadletter.Cause{Output: "o", Reason: "r", Error: strings.Repeat("e", 500)})
		if kept != 1 || err != nil {
			fmt.Println("failed", kept, err)
			os.Exit(1)
		}
		fmt.Println(n)
	}
}

// chunk has count records {"n": from…}.
func chunk(tag string, count, from int) *event.Chunk {
	b := event.NewBatch(tag)
	defer b.Free()
	for i := range count {
		b.Add(int64(from+i)*1e9+1).Append(b.String("n"), b.Int(int64(from+i)))
	}
	bu := event.NewBuilder(tag, event.Logs, time.Now())
	bu.Seal(b, 0, 1<<62)
	return bu.Chunk()
}

// entry is an event with that record.
func entry(record []byte) []byte {
	return append([]byte{0x92, 0x92, 0xd7, 0, 0x65, 0, 0, 0, 0, 0, 0, 7, 0x80}, record...)
}

// numbers reads the n of all letters in a directory, and how many lines were
// bad and files torn.
func numbers(t testing.TB, dir string) (ns []int, bad, torn int) {
	t.Helper()
	files, err := deadletter.Files(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		r := deadletter.NewReader(bytes.NewReader(data))
		for r.Next() {
			l, err := r.Letter()
			if err != nil {
				bad++
				continue
			}
			cur := event.NewChunk(event.ChunkID{}, "", event.Logs, 1, l.Entry).Cursor()
			cur.Next()
			v, _ := cur.Record.Get("n")
			n, _ := v.Int()
			ns = append(ns, int(n))
		}
		if r.Torn() {
			torn++
		}
	}
	return ns, bad, torn
}

func put(t testing.TB, b *deadletter.Box, c *event.Chunk) {
	t.Helper()
	if kept, err := b.Put(c, deadletter.Cause{Output: "o", Reason: "r"}); kept != c.Count || err != nil {
		t.Fatalf("%d of %d letters were written: %v", kept, c.Count, err)
	}
}

func closeBox(t testing.TB, b *deadletter.Box) {
	t.Helper()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestLine(t *testing.T) {
	rec := event.AppendMapHeader(nil, 2)
	rec = event.AppendString(event.AppendString(rec, "log"), "naïve \"text\"\n")
	rec = event.AppendInt(event.AppendString(rec, "n"), -5)
	l := deadletter.Letter{ID: "x-1", GivenUp: time.Unix(1_700_000_000, 0), Tag: "app", Entry: entry(rec), Cause: deadletter.Cause{
		Input: "tail.0", Output: "http.0", Chunk: "00", Reason: "retries_exhausted", Attempts: 2, FirstError: "refused", Error: "503", Processed: true}}
	line, _, err := l.Append(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"time":"2023-09-12T06:06:56.000000007Z","tag":"app","output":"http.0","reason":"retries_exhausted","attempts":2,"input":"tail.0",` +
		`"error":"503","first_error":"refused","given_up":"2023-11-14T22:13:20Z","id":"x-1","chunk":"00","processed":true,"record":{"log":"naïve \"text\"\n","n":-5}}` + "\n"
	if diff := cmp.Diff(want, string(line)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	back, err := deadletter.Parse(line)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&l, back); diff != "" {
		t.Errorf("read back, -want +got:\n%s", diff)
	}
}

// What JSON cannot hold survives in "event", and only there.
func TestNothingOfARecordIsLost(t *testing.T) {
	one := func(key string, v []byte) []byte {
		return append(event.AppendString(event.AppendMapHeader(nil, 1), key), v...)
	}
	twice := event.AppendMapHeader(nil, 2)
	for range 2 {
		twice = event.AppendInt(event.AppendString(twice, "k"), 1)
	}
	deep := event.AppendInt(nil, 1)
	for range 220 {
		deep = append([]byte{0x91}, deep...)
	}
	f := func(name string, record []byte, exact bool) {
		t.Helper()
		l := deadletter.Letter{Tag: "t", Entry: entry(record)}
		line, _, err := l.Append(nil, nil)
		if err != nil || !json.Valid(line) {
			t.Errorf("%s: %v, %s", name, err, line)
			return
		}
		back, err := deadletter.Parse(line)
		if err != nil || !bytes.Equal(back.Entry, l.Entry) {
			t.Errorf("%s: %v, got %+v, want %x", name, err, back, l.Entry)
		}
		if exact == bytes.Contains(line, []byte(`"event":`)) {
			t.Errorf("%s: that JSON says all of it is %v: %s", name, exact, line)
		}
	}
	f("text", one("k", event.AppendString(nil, "text ü 火 \x00 \u2028 </script>")), true)
	f("integers", one("k", event.AppendInt(nil, -1<<63)), true)
	f("large integers", one("k", event.AppendUint(nil, 1<<64-1)), true)
	f("floats", one("k", event.AppendFloat(nil, 2.5)), true)
	f("whole floats", one("k", event.AppendFloat(nil, 3)), true)
	f("floats with 17 digits", one("k", event.AppendFloat(nil, 0.30000000000000004)), false)
	f("nothing", one("k", event.AppendNil(nil)), true)
	f("empty record", []byte{0x80}, true)
	f("binary", one("k", event.AppendBinary(nil, []byte("text"))), false)
	f("bad UTF-8", one("k", event.AppendString(nil, "a\xffb")), false)
	f("extension", one("k", event.AppendExt(nil, 5, []byte("xyz"))), false)
	f("float of 32 bits", one("k", []byte{0xca, 0x3f, 0x80, 0, 0}), false)
	f("long form of an integer", one("k", []byte{0xd2, 0, 0, 0, 1}), false)
	f("keys twice", twice, false)
	f("keys that are no text", append(event.AppendInt(event.AppendMapHeader(nil, 1), 1), 2), false)
	f("depth", one("k", deep), false)
}

func TestTagsAndMetrics(t *testing.T) {
	for _, l := range []deadletter.Letter{
		{Tag: "a\xff\"b", Entry: entry([]byte{0x80})},
		{Tag: "", Entry: entry([]byte{0x80})},
		{Tag: "m", Signal: event.Metrics, GivenUp: time.Unix(5, 0), Entry: []byte("\x0a\x00otlp")},
	} {
		line, _, err := l.Append(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		back, err := deadletter.Parse(line)
		if err != nil || back.Tag != l.Tag || back.Signal != l.Signal || !bytes.Equal(back.Entry, l.Entry) {
			t.Errorf("%q: %v, %+v", line, err, back)
		}
	}
}

// People may mend a record by hand.
func TestEditedLines(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "mine.jsonl")
	text := ` {"tag": "t", "record": {"n": 1}, "time": "2024-01-01T00:00:00+09:00", "note": "mine"} ` + "\r\n\n" +
		`{"tag":"t","record":{"n":2}}` + "\n" +
		`{"tag":"t","record":[1],"time":"2024-01-01T00:00:00Z"}` + "\n" +
		`{"tag":"t","event":"kg=="}` + "\n" + `nonsense` + "\n" +
		`{"record":{},"time":"2024-01-01T00:00:00Z"}` + "\n" + `{"tag":"t","record":{"n":3},"time":"2024-`
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := deadletter.NewReader(strings.NewReader(text))
	var good, bad []string
	for r.Next() {
		if l, err := r.Letter(); err != nil {
			bad = append(bad, fmt.Sprintf("%d %v", r.Line(), err))
		} else {
			good = append(good, fmt.Sprintf("%d %s %d", r.Line(), l.ID, l.Time()))
		}
	}
	if diff := cmp.Diff([]string{"1 line-1 1704034800000000000"}, good); diff != "" {
		t.Error(diff)
	}
	want := []string{`3 read letter: there is neither "event" nor "time" and "record"`, `4 read letter: "record" is not an object`,
		`5 read letter: "event" is not the msgpack of one event`, `6 read letter: invalid character 'o' in literal null (expecting 'u')`,
		`7 read letter: there is no "tag"`}
	if diff := cmp.Diff(want, bad); diff != "" {
		t.Error(diff)
	}
	if !r.Torn() || r.Err() != nil {
		t.Errorf("torn %v, error %v; want the last line known as torn", r.Torn(), r.Err())
	}
}

// However a crash cuts the file, the whole lines stay and the next process goes
// on behind them.
func TestTornLastLine(t *testing.T) {
	dir := t.TempDir()
	b := deadletter.New(dir, 0, nil)
	put(t, b, chunk("t", 3, 0))
	closeBox(t, b)
	files, _ := deadletter.Files(dir)
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	second := bytes.IndexByte(whole, '\n') + 1
	for cut := second; cut < len(whole); cut += 7 {
		if err := os.WriteFile(files[0], whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		want := bytes.Count(whole[:cut], []byte("\n"))
		before, bad, torn := numbers(t, dir)
		if len(before) != want || bad != 0 || (torn == 1) != (whole[cut-1] != '\n') {
			t.Fatalf("cut at %d: %v, %d bad, %d torn", cut, before, bad, torn)
		}
		b := deadletter.New(dir, 0, nil)
		put(t, b, chunk("t", 1, 9))
		closeBox(t, b)
		after, bad, torn := numbers(t, dir)
		if cut < len(whole) && whole[cut] == '\n' {
			want++ // Only the newline was missing.
		}
		if len(after) != want+1 || after[want] != 9 || bad > 1 || torn != 0 {
			t.Fatalf("cut at %d, after one more: %v, %d bad, %d torn", cut, after, bad, torn)
		}
	}
}

func TestDirectoryBelongsToOneProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	b := deadletter.New(dir, 0, nil)
	if n, err := b.Open(); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	if !deadletter.InUse(filepath.Join(dir, "x.jsonl")) {
		t.Error("the directory is not known to be in use")
	}
	other := deadletter.New(dir, 0, nil)
	if _, err := other.Put(chunk("t", 1, 0), deadletter.Cause{}); !errors.Is(err, filelock.ErrInUse) {
		t.Errorf("writing to a directory in use: %v", err)
	}
	closeBox(t, b)
	if deadletter.InUse(filepath.Join(dir, "x.jsonl")) {
		t.Error("the directory is in use after Close")
	}
	put(t, other, chunk("t", 1, 0))
	closeBox(t, other)
	closeBox(t, other)
}

func TestOldestAreDroppedAtTheLimit(t *testing.T) {
	dir := t.TempDir()
	const limit = 40_000
	var dropped, told int
	b := deadletter.New(dir, limit, func(d deadletter.Dropped) {
		if d.Err != nil {
			t.Error(d.Err)
		}
		told++
		dropped += d.Letters
	})
	for n := range 1000 {
		put(t, b, chunk("t", 1, n))
		if b.Bytes() > limit {
			t.Fatalf("%d bytes after %d letters", b.Bytes(), n+1)
		}
	}
	files, _ := deadletter.Files(dir)
	ns, bad, torn := numbers(t, dir)
	if len(ns)+dropped != 1000 || bad+torn != 0 || told < 2 || len(ns) < 100 || len(files) < 4 {
		t.Errorf("%d letters in %d files, %d dropped in %d files", len(ns), len(files), dropped, told)
	}
	for i, n := range ns {
		if n != dropped+i {
			t.Fatalf("letter %d is number %d", i, n)
		}
	}
	// What was replayed is not lost.
	r, err := deadletter.OpenReplayed(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Add([]string{"a", "b", "c"}); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	was := dropped
	for n := 1000; dropped == was; n++ {
		put(t, b, chunk("t", 1, n))
	}
	if got, _, _ := numbers(t, dir); dropped-was != got[0]-ns[0]-3 {
		t.Errorf("%d letters were dropped of %d, of which 3 were replayed", dropped-was, got[0]-ns[0])
	}
	if _, err := os.Stat(files[0] + ".replayed"); err == nil {
		t.Error("what was remembered of the file stays")
	}
	closeBox(t, b)
}

func TestLetterLargerThanTheLimit(t *testing.T) {
	b := deadletter.New(t.TempDir(), 100, nil)
	if kept, err := b.Put(chunk("t", 2, 0), deadletter.Cause{}); kept != 0 || err == nil {
		t.Errorf("kept %d, %v", kept, err)
	}
	closeBox(t, b)
}

// Operators delete files, and directories, under a running router.
func TestFilesThatAreTakenAway(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "rejected")
	b := deadletter.New(dir, 0, nil)
	put(t, b, chunk("t", 1, 0))
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	put(t, b, chunk("t", 2, 1))
	if ns, _, _ := numbers(t, dir); !cmp.Equal(ns, []int{1, 2}) {
		t.Errorf("got %v", ns)
	}
	closeBox(t, b)
}

// A letter that was said to be written is there, whatever happens to the process.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	safe := 0
	for round := range 5 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "DEADLETTER_WRITE="+dir, fmt.Sprintf("DEADLETTER_FIRST=%d", safe))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		sc := bufio.NewScanner(out)
		for i := 0; i < 10+7*round && sc.Scan(); i++ {
			n, err := strconv.Atoi(sc.Text())
			if err != nil {
				t.Fatal(sc.Text())
			}
			safe = n + 1
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for sc.Scan() {
			if n, err := strconv.Atoi(sc.Text()); err == nil {
				safe = n + 1
			}
		}
		_ = cmd.Wait()
		ns, _, _ := numbers(t, dir)
		seen := map[int]bool{}
		for _, n := range ns {
			seen[n] = true
		}
		for n := range safe {
			if !seen[n] {
				t.Fatalf("letter %d of %d is gone", n, safe)
			}
		}
	}
}

func TestReplayedIsRemembered(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.jsonl")
	r, err := deadletter.OpenReplayed(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := deadletter.OpenReplayed(path); !errors.Is(err, filelock.ErrInUse) {
		t.Errorf("a second replay of the file: %v", err)
	}
	if err := r.Add([]string{"a-1", "a-22"}); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path+".replayed", os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("a-3"); err != nil { // the rest of a-33
		t.Fatal(err)
	}
	f.Close()
	for _, open := range []func(string) (*deadletter.Replayed, error){deadletter.ReadReplayed, deadletter.OpenReplayed, deadletter.OpenReplayed} {
		r, err := open(path)
		if err != nil {
			t.Fatal(err)
		}
		if !r.Has("a-1") || !r.Has("a-22") || r.Has("a-3") || r.Has("a-2") {
			t.Error("not what was remembered")
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	unused := filepath.Join(t.TempDir(), "y.jsonl")
	if r, err = deadletter.OpenReplayed(unused); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(unused + ".replayed"); err == nil {
		t.Error("an empty file stays behind")
	}
}

func FuzzReader(f *testing.F) {
	l := deadletter.Letter{ID: "x-1", Tag: "app", Entry: entry([]byte{0x81, 0xa1, 'k', 0xc4, 1, 'b'}), Cause: deadletter.Cause{Error: "e"}}
	line, _, _ := l.Append(nil, nil)
	f.Add(line)
	f.Add([]byte(`{"time":"2024-01-01T00:00:00Z","tag":"t","metadata":{"a":1},"record":{"k":[1.5,null,"\ud800"]}}` + "\n\n{}\nx"))
	f.Add([]byte(`{"tag":"m","signal":"metrics","payload":"AAAA"}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := deadletter.NewReader(bytes.NewReader(data))
		for r.Next() {
			l, err := r.Letter()
			if (l == nil) == (err == nil) {
				t.Fatalf("letter %v, error %v", l, err)
			}
			if l == nil {
				continue
			}
			line, _, err := l.Append(nil, nil)
			if err != nil || !json.Valid(line) || bytes.Count(line, []byte("\n")) != 1 {
				t.Fatalf("%v: %q", err, line)
			}
			back, err := deadletter.Parse(line)
			if err != nil || !bytes.Equal(back.Entry, l.Entry) || back.Tag != l.Tag {
				t.Fatalf("%q read back: %+v, %v; want %+v", line, back, err, l)
			}
		}
		if r.Err() != nil {
			t.Fatal(r.Err())
		}
	})
}
