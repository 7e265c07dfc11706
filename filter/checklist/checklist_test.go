package checklist

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) {
	plugintest.Definition(t, Def(), "file", "/nonexistent", "record", "a b")
}

// file writes a list and returns its path.
func file(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWhatIsFound(t *testing.T) {
	const entries = "# comment\nalice\r\n\n  Bob\n#x\n10.0.\na%z\nü_\nlast"
	path := file(t, entries)
	f := func(want bool, value string, keysAndValues ...string) {
		t.Helper()
		props := append([]string{"file", path, "record", "hit true"}, keysAndValues...)
		record := `{"log":` + value + `}`
		got := plugintest.Filter(t, Def(), []string{record}, props...)[0]
		if strings.Contains(got, "hit") != want {
			t.Errorf("%s becomes %s with %q, expected it to be found: %v", record, got, keysAndValues, want)
		}
	}
	f(true, `"alice"`)
	f(false, `"Alice"`)
	f(true, `"  Bob"`)
	f(false, `"Bob"`)
	f(true, `"last"`)
	f(false, `"# comment"`)
	f(false, `"#x"`)
	f(false, `""`)
	f(false, `"10.0.0.1"`)
	f(false, `5`)
	f(false, `null`)
	f(true, `"aLICE"`, "ignore_case", "on")
	f(true, `"  BOB"`, "ignore_case", "on")
	f(true, `"10.0.0.1"`, "mode", "partial")
	f(true, `"10.0."`, "mode", "partial")
	f(false, `"10.0"`, "mode", "partial")
	f(false, `"x10.0."`, "mode", "partial")
	f(true, `"abcz and more"`, "mode", "partial")
	f(true, `"azz"`, "mode", "partial")
	f(false, `"abc"`, "mode", "partial")
	f(true, `"üß!"`, "mode", "partial")
	f(false, `"ü"`, "mode", "partial")
	f(true, `"ALICE in"`, "mode", "PARTIAL", "ignore_case", "on")
	f(false, `"ALICE in"`, "mode", "partial")
	f(true, `"alice"`, "mode", "unknown")
	f(true, `{"a":"alice"}`, "lookup_key", "$log['a']")
	f(true, `["x","alice"]`, "lookup_key", "$log[1]")
	f(true, `"alice"`, "print_query_time", "on")
}

func TestWhatIsAdded(t *testing.T) {
	path := file(t, "x")
	f := func(want string, records ...string) {
		t.Helper()
		props := []string{"file", path}
		for _, r := range records {
			props = append(props, "record", r)
		}
		if got := plugintest.Filter(t, Def(), []string{`{"log":"x","b":1,"c":2}`}, props...)[0]; got != want {
			t.Errorf("records %q make %s, expected %s", records, got, want)
		}
	}
	f(`{"log":"x","b":1,"c":2}`)
	f(`{"log":"x","c":2,"b":"5","n":null,"t":true,"f":false,"s":"a b"}`, "b 5", "n NULL", "t True", "f false", `s "a b"`)
	f(`{"log":"x","c":2,"b":"z"}`, "b y z")
}

func TestWithoutAListNothingIsFound(t *testing.T) {
	env, log := plugintest.LoggedEnv(t)
	for _, props := range [][]string{{"record", "a b"}, {"record", "a b", "file", filepath.Join(t.TempDir(), "no")}} {
		f := plugintest.NewFilter(t, Def(), env, props...)
		if got := plugintest.Filtered(t, f, "t", plugintest.Event{Record: `{"log":"x"}`})[0].Record; got != `{"log":"x"}` {
			t.Errorf("the record is %s", got)
		}
	}
	if s := log.String(); !strings.Contains(s, "option file is missing") || !strings.Contains(s, "cannot be read") {
		t.Errorf("the log does not say so: %s", s)
	}
}

func TestBadOptionsAreRefused(t *testing.T) {
	for _, props := range [][]string{{"lookup_key", "$a['b"}, {"record", "a"}, {"lookup_key", "$TAG"}} {
		if _, err := plugintest.TryFilter(Def(), plugintest.Env(t), props...); err == nil {
			t.Errorf("options %q are taken", props)
		}
	}
}

func TestNothingIsAllocated(t *testing.T) {
	for _, mode := range []string{"exact", "partial"} {
		f := plugintest.NewFilter(t, Def(), plugintest.Env(t), "file", file(t, "alice\nbob"), "mode", mode,
			"ignore_case", "on", "lookup_key", "user", "record", "hit true", "record", "user x")
		if n := plugintest.AllocsPerEvent(t, f, `{"log":"x","user":"Alice"}`); n > 0.02 {
			t.Errorf("%v allocations per event in mode %s, expected none", n, mode)
		}
	}
}

func FuzzList(f *testing.F) {
	f.Add([]byte("a%b_c\nx"), []byte("aXXbYcZ"))
	f.Add([]byte("%%%_%"), []byte("\xff\xc3"))
	f.Fuzz(func(t *testing.T, entries, text []byte) {
		for _, partial := range []bool{false, true} {
			l := list{partial: partial}
			l.read(entries)
			l.has(text)
			lines(entries, func(entry []byte) {
				if !l.has(entry) {
					t.Errorf("list %q does not have its entry %q", entries, entry)
				}
			})
		}
	})
}
