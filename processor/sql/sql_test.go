package sql

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) {
	plugintest.Definition(t, Def(), "query", "SELECT * FROM STREAM;")
}

var records = []string{
	`{"s":"error","n":5,"f":5.5,"b":true,"z":null,"u":18446744073709551615,"m":{"x":"y","n":-3},"l":[1,"a"],"neg":-7,"e":""}`,
	`{"s":"info","n":1}`,
	`{"other":9}`,
	`{"s":"warn","n":5.5,"m":{"x":"no"}}`,
	`{"s":"12","m.x":"12.0","e":"1.2.3","l":"12 ms"}`,
}

// The results here are those of Fluent Bit 5.1.1, but for its faults with texts
// and large numbers.
func TestWhere(t *testing.T) {
	f := func(where, want string) {
		t.Helper()
		var got strings.Builder
		for _, r := range plugintest.Filter(t, Def(), records, "query", "SELECT * FROM STREAM WHERE "+where+";") {
			fmt.Fprint(&got, slices.Index(records, r))
		}
		if got.String() != want {
			t.Errorf("%s holds for the records %q, want %q", where, got.String(), want)
		}
	}
	f("n = 5", "0")
	f("n = 5.0", "0")
	f("n = 1", "1")
	f("N = 5", "")
	f("n != 5", "1234")
	f("n <> 5", "1234")
	f("n > 1", "03")
	f("n >= 1", "013")
	f("n < 5.5", "01")
	f("n <= 5.5", "013")
	f("f = 5.5", "0")
	f("n = '5'", "")
	f("neg = -7", "0")
	f("neg < 0", "0")
	f("u > 5", "0")
	f("m = 1", "")
	f("m != 1", "01234")
	f("s = 'error'", "0")
	f("s != 'error'", "1234")
	f("s < 'f'", "04")
	f("s >= 'info'", "13")
	f("e = ''", "0")
	f("s = 12", "4")
	f("s > 11.5", "4")
	f("m.x = 12", "4")
	f("l = 12", "4")
	f("e > 0", "")
	f("s < 5", "")
	f("b = true", "0")
	f("b = false", "")
	f("n = true", "")
	f("z IS NULL", "0")
	f("z IS NOT NULL", "1234")
	f("other IS NULL", "")
	f("other IS NOT NULL", "01234")
	// Truth.
	f("b", "0")
	f("n", "013")
	f("neg", "")
	f("s", "0134")
	f("z", "")
	f("m", "")
	f("1", "01234")
	f("0", "")
	f("-1", "")
	f("0.5", "01234")
	f("'x'", "01234")
	f("true", "01234")
	f("FALSE", "")
	// Joined.
	f("NOT b", "1234")
	f("NOT s", "2")
	f("NOT NOT n = 5", "0")
	f("n = 5 OR n = 1", "01")
	f("n > 1 AND f = 5.5", "0")
	f("(n > 1)", "03")
	f("(n)", "013")
	f("n = 5 AND other", "")
	f("n = 5 OR n = 1 AND s = 'zzz'", "0")
	f("n = 9 AND n = 9 OR n = 5", "")
	f("(n = 9 AND n = 9) OR n = 5", "0")
	f("NOT n = 5 OR n = 5", "1234")
	f("NOT n = 5 AND n = 1", "01234")
	f("not (n = 5) and n = 1", "01234")
	f("\n n\t=\r\n5 ", "0")
}

func TestColumns(t *testing.T) {
	f := func(columns string, want ...string) {
		t.Helper()
		if got := plugintest.Filter(t, Def(), records[:3], "query", "select "+columns+" from stream x;"); !slices.Equal(got, want) {
			t.Errorf("SELECT %s makes %q, want %q", columns, got, want)
		}
	}
	f("*", records[:3]...)
	f("s, n", `{"s":"error","n":5}`, `{"s":"info","n":1}`, `{}`)
	f("n, s", `{"s":"error","n":5}`, `{"s":"info","n":1}`, `{}`)
	f("n AS num, s", `{"s":"error","num":5}`, `{"s":"info","num":1}`, `{}`)
	f("s AS a, s AS b", `{"a":"error"}`, `{"a":"info"}`, `{}`)
	f("n AS x, s AS n", `{"n":"error","x":5}`, `{"n":"info","x":1}`, `{}`)
	f("m, m.x, _y", `{"m":{"x":"y","n":-3}}`, `{}`, `{}`)
	f("*, n AS x", records[:3]...)
	f("n, *", `{"n":5}`, `{"n":1}`, `{}`)
	got := plugintest.Filter(t, Def(), records, "query", "SELECT n AS x FROM STREAM WHERE n = 5;")
	if !slices.Equal(got, []string{`{"x":5}`}) {
		t.Errorf("a new name of the key that is compared makes %q", got)
	}
}

func TestStarsWithoutMeaningAreWarnedAbout(t *testing.T) {
	for _, columns := range []string{"n, *", "*, n AS x"} {
		env, log := plugintest.LoggedEnv(t)
		plugintest.NewFilter(t, Def(), env, "query", "SELECT "+columns+" FROM STREAM;")
		if !strings.Contains(log.String(), "no meaning") {
			t.Errorf("SELECT %s is not warned about: %s", columns, log)
		}
	}
}

func TestBadQueriesAreRefused(t *testing.T) {
	f := func(query, want string) {
		t.Helper()
		_, err := plugintest.TryFilter(Def(), plugintest.Env(t), "query", query)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", query, err, want)
		}
	}
	if _, err := plugintest.TryFilter(Def(), plugintest.Env(t)); err == nil {
		t.Error("no query is accepted")
	}
	f("", "the end stands at offset 0 where SELECT is expected")
	f("SELECT * FROM STREAM", "where ; is expected")
	f("SELECT * FROM STREAM;;", "where the end is expected")
	f("SELECT * FROM TAG:'x';", "has no meaning")
	f("SELECT COUNT(*) FROM STREAM;", "( stands at offset 12 where FROM is expected")
	f("SELECT n AS select FROM STREAM;", "where a name is expected")
	f("SELECT * FROM STREAM WHERE 5 = n;", "= stands at offset 29")
	f("SELECT * FROM STREAM WHERE n = 05;", "5 stands at offset 32")
	f("SELECT * FROM STREAM WHERE n == 5;", "where a key, a number")
	f("SELECT * FROM STREAM WHERE n = NULL;", "NULL stands")
	f("SELECT * FROM STREAM WHERE n IS 5;", "where NULL is expected")
	f("SELECT * FROM STREAM WHERE ;", "; stands")
	f("SELECT * FROM STREAM WHERE (n;", "where ) is expected")
	f("SELECT * FROM STREAM WHERE s = 'abc;", "has no meaning")
	f(`SELECT * FROM STREAM WHERE s = "x";`, "has no meaning")
	f("SELECT n m FROM STREAM;", "m stands at offset 9 where FROM is expected")
	f("SELECT n,s, FROM STREAM;", "where a key or * is expected")
	f("SELECT * FROM STREAM WHERE n = 99999999999999999999;", "no integer of 64 bits")
	f("SELECT * FROM STREAM WHERE "+strings.Repeat("NOT ", 2000)+"n;", "nests deeper")
	f("SELECT * FROM STREAM WHERE "+strings.Repeat("(", 2000)+"n;", "nests deeper")
}

const sample = `{"time":"2026-11-20T10:38:00.123Z","level":"info","message":"request handled by worker","http_status":200,"k":{"app":"web"}}`

const common = "SELECT level, message AS log, http_status FROM STREAM WHERE (level = 'error' OR http_status >= 200) AND NOT http_status = 5.5;"

func TestNothingIsAllocated(t *testing.T) {
	p := plugintest.NewFilter(t, Def(), plugintest.Env(t), "query", common)
	if n := plugintest.AllocsPerEvent(t, p, sample); n > 0.01 {
		t.Errorf("%v allocations per event, expected none", n)
	}
}

func BenchmarkSQL(b *testing.B) {
	plugintest.BenchmarkFilter(b, plugintest.NewFilter(b, Def(), plugintest.Env(b), "query", common), sample)
}

func FuzzQuery(f *testing.F) {
	for _, s := range []string{common, "SELECT * FROM STREAM;", "select a as b, c from stream x where not (a is not null) or 'x''y' and -1.5;"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q, err := parse(s)
		if err != nil {
			return
		}
		p := &Processor{query: q}
		if left := plugintest.Filtered(t, p, "t", plugintest.Event{Record: records[0]}); len(left) == 1 && q.all && left[0].Record != records[0] {
			t.Errorf("%q changes a record to %s", s, left[0].Record)
		}
	})
}
