package stream

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kagarilog/kagari/event"
)

// TestExpressions checks what Fluent Bit does not have.
func TestExpressions(t *testing.T) {
	record := `{"i": 7, "f": 2.5, "s": "Hello World", "num": "42", "b": true, "n": null, "o": {"a": {"b": [1, {"c": "deep"}]}}, "l": [10, 20], "j": "{\"x\":{\"y\":[3]}}", "u": "ÄÖ"}`
	f := func(expr, want string) {
		t.Helper()
		got := strings.Join(query(t, "SELECT "+expr+" AS r FROM TAG:'t';", Options{}, record), "")
		if want != "" {
			want = `{"r":` + want + `}`
		}
		if got != want {
			t.Errorf("%s is %s, want %s", expr, got, want)
		}
	}
	f("i + 1", "8")
	f("i - 1 - 1", "5")
	f("i * 2 + 1", "15")
	f("1 + i * 2", "15")
	f("(1 + i) * 2", "16")
	f("i / 2", "3.5")
	f("i % 4", "3")
	f("-i", "-7")
	f("i - -1", "8")
	f("i / 0", "null")
	f("i % 0", "null")
	f("num + 1", "43")
	f("s + 1", "null")
	f("zz + 1", "")
	f("9223372036854775807 + 1", "9.223372036854776e+18")
	f("-9223372036854775808 - 1", "-9223372036854775808.0")
	f("s || '!'", `"Hello World!"`)
	f("i || zz", `"7"`)
	f("zz || zz", "")
	f("lower(s)", `"hello world"`)
	f("upper(u || 'x')", `"ÄÖX"`)
	f("lower(u)", `"äö"`)
	f("length(s)", "11")
	f("length(u)", "2")
	f("length(l)", "2")
	f("substr(s, 7)", `"World"`)
	f("substr(s, 1, 5)", `"Hello"`)
	f("substr(u, 2, 1)", `"Ö"`)
	f("substr(s, -5, 3)", `"Wor"`)
	f("substr(s, 99)", `""`)
	f("concat(s, '-', i, n, zz, b)", `"Hello World-7true"`)
	f("coalesce(zz, n, i)", "7")
	f("coalesce(zz, zz)", "")
	f("nullif(i, 7)", "null")
	f("if(i > 5, 'big', 'small')", `"big"`)
	f("replace(s, 'o', '0')", `"Hell0 W0rld"`)
	f("replace(s, '', 'x')", `"Hello World"`)
	f("trim('  a ')", `"a"`)
	f("ltrim('xxa', 'x')", `"a"`)
	f("rtrim('a--', '-')", `"a"`)
	f("starts_with(s, 'Hell')", "true")
	f("ends_with(s, 'x')", "false")
	f("position(s, 'World')", "7")
	f("position(s, 'zzz')", "0")
	f("split_part('a,b,c', ',', 2)", `"b"`)
	f("split_part('a,b,c', ',', 9)", `""`)
	f("regexp_extract(s, '([A-Z])o')", `"W"`)
	f("regexp_extract(s, 'W(o)(r)', 2)", `"r"`)
	f("regexp_extract(s, 'nope')", "null")
	f("json_extract(j, '$.x.y[0]')", "3")
	f("json_extract(o, 'a.b[1].c')", `"deep"`)
	f("json_extract(j, '$.x.z')", "null")
	f("json_extract(s, '$.x')", "null")
	f("typeof(o)", `"map"`)
	f("typeof(l)", `"array"`)
	f("abs(-3.5)", "3.5")
	f("floor(2.9)", "2.0")
	f("ceil(f)", "3.0")
	f("round(2.567, 2)", "2.57")
	f("int(f)", "2")
	f("int('12x')", "12")
	f("float(i)", "7.0")
	f("text(f)", `"2.5"`)
	f("text(o)", `"{\"a\":{\"b\":[1,{\"c\":\"deep\"}]}}"`)
	f("o['a']['b'][1]['c']", `"deep"`)
	f("l[1]", "20")
	f("l[5]", "")
	f("CASE WHEN i > 10 THEN 'a' WHEN i > 5 THEN 'b' ELSE 'c' END", `"b"`)
	f("CASE i WHEN 7 THEN 'seven' END", `"seven"`)
	f("CASE i WHEN 8 THEN 'eight' END", "null")
	f("i > 5", "true")
	f("i IN (1, 7)", "true")
	f("i NOT IN (1, 7)", "false")
	f("num IN (42)", "true")
	f("i BETWEEN 7 AND 9", "true")
	f("i NOT BETWEEN 7 AND 9", "false")
	f("s LIKE 'Hel%'", "true")
	f("s LIKE '%wor%'", "false")
	f("s ILIKE '%wor%'", "true")
	f("s LIKE 'Hello_World'", "true")
	f("u LIKE '__'", "true")
	f("'50%' LIKE '50\\%'", "true")
	f("s NOT LIKE 'x%'", "true")
	f("i LIKE '7'", "false")
	f("s =~ '^Hello'", "true")
	f("s !~ '^Hello'", "false")
	f("s REGEXP 'w[a-z]+d$'", "false")
	f("s NOT REGEXP '(?i)w[a-z]+d$'", "false")
	f("record_tag()", `"t"`)
	f("@record.time()", "1700000000.5")
	f("record_time() + 0.5", "1700000001.0")
	f("unix_timestamp()", "1700000100")
	f("f = 2.5", "true")
}

func TestGrouping(t *testing.T) {
	records := []string{`{"k":"a","v":1,"o":{"n":"1.5"}}`, `{"k":"b","v":2}`, `{"k":"a","v":3.5,"o":{"n":2}}`, `{"v":9}`, `{"k":true,"v":null}`}
	f := func(sql string, o Options, want ...string) {
		t.Helper()
		if got := query(t, sql, o, records...); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s\n gives\n%s\nwant\n%s", sql, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	exact := Options{Exact: true, Loose: true, Whole: true}
	f("SELECT k, SUM(o['n']) AS s, AVG(v) FROM TAG:'t' GROUP BY k;", Options{},
		`{"k":"a","s":3.5,"AVG(v)":2.25}`, `{"k":"b","s":0,"AVG(v)":2.0}`, `{"k":1,"s":0,"AVG(v)":0.0}`)
	f("SELECT k, COUNT(*) AS n FROM TAG:'t' GROUP BY k HAVING COUNT(*) > 1;", Options{}, `{"k":"a","n":2}`)
	f("SELECT upper(k) AS u, SUM(v) * 2 AS d FROM TAG:'t' WHERE k = 'a' GROUP BY u;", Options{}, `{"u":"A","d":9.0}`)
	f("SELECT upper(k), COUNT(*) FROM TAG:'t' WHERE k = 'b' GROUP BY upper(k);", Options{}, `{"upper(k)":"B","COUNT(*)":1}`)
	f("SELECT SUM(v + 1), MAX(v) - MIN(v) AS span FROM TAG:'t';", Options{}, `{"SUM(v + 1)":19.5,"span":8.0}`)
	f("SELECT k, COUNT(*), COUNT(v), AVG(v), MAX(v) GROUP BY k", exact,
		`{"k":"a","COUNT(*)":2,"COUNT(v)":2,"AVG(v)":2.25,"MAX(v)":3.5}`,
		`{"k":"b","COUNT(*)":1,"COUNT(v)":1,"AVG(v)":2.0,"MAX(v)":2}`,
		`{"k":null,"COUNT(*)":1,"COUNT(v)":1,"AVG(v)":9.0,"MAX(v)":9}`,
		`{"k":true,"COUNT(*)":1,"COUNT(v)":0,"AVG(v)":null,"MAX(v)":null}`)
	f("SELECT k, SUM(v) AS s GROUP BY k ORDER BY s DESC LIMIT 2", exact, `{"k":null,"s":9}`, `{"k":"a","s":4.5}`)
	f("SELECT v ORDER BY v DESC LIMIT 2", exact, `{"v":9}`, `{"v":3.5}`)
	f("SELECT v WHERE v > 1 LIMIT 1", exact, `{"v":2}`)
	f("SELECT COUNT(*) WHERE v > 100", exact, `{"COUNT(*)":0}`)
	f("SELECT v WHERE k = 'a' AND v = 1 OR v = 9", exact, `{"v":1}`, `{"v":9}`)
	f("SELECT v WHERE NOT k = 'a' AND v = 9", exact, `{"v":9}`)
}

// TestErrors checks that mistakes are found where they are.
func TestErrors(t *testing.T) {
	f := func(sql string, col int, msg, fix string) {
		t.Helper()
		_, _, err := NewSet().Compile("x", sql, Options{})
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s: there is no error", sql)
			return
		}
		if e.Line() != 1 || e.Col() != col || !strings.Contains(e.Msg, msg) || !strings.Contains(e.Fix, fix) {
			t.Errorf("%s\n%s\ngives line %d, column %d, %q, fix %q\nwant column %d, %q, fix %q", sql, e.Excerpt(), e.Line(), e.Col(), e.Msg, e.Fix, col, msg, fix)
		}
	}
	f("SELEC a FROM TAG:'t';", 1, "expected SELECT", `did you mean "SELECT"?`)
	f("SELECT a FORM TAG:'t';", 10, "expected FROM or a comma", `did you mean "FROM"?`)
	f("SELECT a FROM TAG:'t'", 22, "ends with a semicolon", "")
	f("SELECT a FROM app;", 15, "expected STREAM: or TAG:", "FROM STREAM:app")
	f("SELECT a FROM TAG:app;", 19, "expected a pattern for tags", "single quotes")
	f("SELECT time FROM TAG:'t';", 8, "expected a key", `"time"`)
	f("SELECT a, * FROM TAG:'t';", 11, "* comes before", "")
	f("SELECT *, COUNT(*) FROM TAG:'t';", 8, "* cannot stand beside", "")
	f("SELECT a, COUNT(*) FROM TAG:'t';", 8, "grouped by", "GROUP BY a")
	f("SELECT SUM(*) FROM TAG:'t';", 12, "only COUNT", "")
	f("SELECT a FROM TAG:'t' WHERE COUNT(*) > 1;", 29, "cannot stand here", "HAVING")
	f("SELECT SUM(SUM(a)) FROM TAG:'t';", 12, "cannot stand here", "")
	f("SELECT lowwer(a) FROM TAG:'t';", 8, "no function", `did you mean "lower"?`)
	f("SELECT lower(a, b) FROM TAG:'t';", 8, "2 arguments", "")
	f("SELECT a FROM TAG:'t' WHERE a = 'x;", 33, "no closing quote", "")
	f("SELECT a FROM TAG:'t' WHERE a =~ '(';", 34, "regular expression", "")
	f("SELECT a FROM TAG:'t' GROUP BY a WHERE a = 1;", 34, "WHERE is not allowed here", "order")
	f("SELECT a FROM TAG:'t' WHRE a = 1;", 23, "expected the next clause", `did you mean "WHERE"?`)
	f("SELECT a FROM STREAM:my-app;", 24, "expected the next clause", "double quotes")
	f("SELECT a['b' FROM TAG:'t';", 14, `expected "]"`, "")
	f("SELECT COUNT(*) FROM TAG:'t' WINDOW TUMBLING (5 SECNDS);", 49, "expected SECOND", `did you mean "SECOND"?`)
	f("SELECT a FROM TAG:'t'; SELECT b FROM TAG:'t';", 24, "has ended", "")
	f("CREATE STREM x AS SELECT a FROM TAG:'t';", 8, "expected STREAM or SNAPSHOT", `did you mean "STREAM"?`)
	f("CREATE STREAM x WITH (tag=a) AS SELECT a FROM TAG:'t';", 27, "is a text", "")
	f("CREATE SNAPSHOT x AS SELECT * FROM TAG:'t' LIMIT 3;", 17, "needs a tag", "")
	f("CREATE SNAPSHOT x WITH (tag='y') AS SELECT * FROM TAG:'t';", 17, "no size", "")
	f("SELECT a FROM TAG:'t' HAVING a = 1;", 30, "HAVING needs aggregates", "")
	f("SELECT a FROM TAG:'t' WHERE "+strings.Repeat("(", 300)+"1", 129, "nested too deeply", "")
	f("", 1, "expected SELECT", "")
}

func TestWarnings(t *testing.T) {
	f := func(sql string, want ...string) {
		t.Helper()
		_, ws, err := NewSet().Compile("x", sql, Options{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, w := range ws {
			got = append(got, w.Msg)
		}
		if len(got) != len(want) {
			t.Fatalf("%s warns of %q, want %q", sql, got, want)
		}
		for i := range want {
			if !strings.Contains(got[i], want[i]) {
				t.Errorf("%s warns of %q, want %q", sql, got[i], want[i])
			}
		}
	}
	f("SELECT a FROM TAG:'t' WHERE a = 1 AND (b = 2 OR c = 3);")
	f("SELECT a FROM TAG:'t' WHERE a = 1 OR b = 2 AND c = 3;")
	f("SELECT a FROM TAG:'t' WHERE a = 1 AND b = 2 OR c = 3;", "AND does not bind")
	f("SELECT a FROM TAG:'t' WHERE NOT a = 1 AND b = 2;", "NOT is for all")
	f("SELECT $a FROM TAG:'t';", "has no meaning")
	f("SELECT a FROM TAG:'t' LIMIT 5;", "LIMIT has no effect")
	f("SELECT a FROM TAG:'t' GROUP BY a;", "GROUP BY has no effect")
	f("SELECT a FROM TAG:'t' WINDOW TUMBLING (5 SECOND);", "WINDOW has no effect")
	f("SELECT a FROM TAG:'t' WHERE a > 3000000000;", "32 bits")
	f("SELECT a FROM TAG:'t' WHERE a > (3000000000);")
	f("SELECT a FROM TAG:'t' WHERE a > -0.5;", "makes it 0.5")
	f("SELECT a FROM TAG:'t' WHERE a > -1.5 AND a > -2 AND a > (-0.5);")
	f("CREATE STREAM x WITH (tga='y') AS SELECT a FROM TAG:'t';", `"tga" is not known`)
	f("SELECT COUNT(*) FROM TAG:'t' WINDOW HOPPING (5 SECOND, ADVANCE BY 9 SECOND);", "does not advance")
	f("SELECT COUNT(*) FROM TAG:'t' WINDOW TUMBLING (0 SECOND);", "never reported")
}

// TestTakenByFluentBit: what it takes must work here, even if it is odd.
func TestTakenByFluentBit(t *testing.T) {
	for _, sql := range []string{
		`CREATE STREAM e10 AS SELECT "a" FROM TAG:'t';`,
		"select a from tag: 't' where a > 1 limit 5 ;",
		"SELECT a FROM STREAM:nowhere;",
		"CREATE STREAM x WITH (foo='bar', storage.type = 'memory') AS SELECT a FROM TAG:'t';",
		"SELECT COUNT(a) FROM TAG:'t' WHERE @RECORD.CONTAINS(a['b']) AND @record.time() > 5 GROUP BY a, b['c'] LIMIT 3;",
		"SELECT COUNT(*) FROM TAG:'t' WINDOW TUMBLING (0 SECOND);",
		"SELECT SUM(a) AS s, NOW(), UNIX_TIMESTAMP() AS u, RECORD_TAG(), RECORD_TIME() FROM TAG:'t' WINDOW HOPPING (5 SECOND, ADVANCE BY 9 SECOND);",
		"SELECT a\n, _b.c\r\n FROM\tTAG:'it''s';",
		"SELECT like, in, between, case, end, having, lower, regexp, group, by, order, minutes FROM TAG:'t' WHERE in = 1 OR case = 'x' AND like IS NOT NULL;",
		"SELECT * , RECORD_TAG() AS t FROM TAG:'t' WHERE true OR zz OR 5 OR 'x';",
		"SELECT TIMESERIES_FORECAST(a['b'], 60) FROM TAG:'t';",
	} {
		if _, _, err := NewSet().Compile("x", sql, Options{}); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

// TestKeepText: sp.convert_from_str_to_num off leaves texts alone.
func TestKeepText(t *testing.T) {
	got := query(t, "SELECT k, SUM(v) AS s FROM TAG:'t' GROUP BY k;", Options{KeepText: true}, `{"k":"007","v":"5"}`, `{"k":"7","v":3}`)
	if want := `{"k":"007","s":0} {"k":"7","s":3}`; strings.Join(got, " ") != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestStatement checks what the parser says of statements.
func TestStatement(t *testing.T) {
	task := compile(t, "CREATE STREAM web WITH (tag='x.y', routable='false') AS SELECT COUNT(*) FROM STREAM:tail.0 WINDOW HOPPING (2 MINUTES, ADVANCE BY 30 SECOND);", Options{})
	if task.Kind() != CreateStream || task.Stream() != "web" || task.Tag() != "x.y" || !task.Source().Stream || task.Source().Name != "tail.0" ||
		task.Window() != (Window{2 * time.Minute, 30 * time.Second}) || !task.Aggregates() {
		t.Errorf("the task is %+v", task.st)
	}
	if v, ok := task.Property("routable"); !ok || v != "false" {
		t.Errorf("routable is %q", v)
	}
	if task := compile(t, "CREATE STREAM web AS SELECT a FROM TAG:'t';", Options{}); task.Tag() != "web" {
		t.Errorf("the tag without WITH is %q", task.Tag())
	}
}

func TestTumblingWindow(t *testing.T) {
	task := compile(t, "SELECT k, COUNT(*) AS n, SUM(v) AS s FROM TAG:'t' WINDOW TUMBLING (5 SECOND) GROUP BY k;", Options{})
	out := event.NewBatch("")
	defer out.Free()
	step := func(want string, records ...string) {
		t.Helper()
		in := batch(t, "t", records...)
		task.Process(in, time.Unix(1, 0), out)
		in.Free()
		if len(out.Events) > 0 {
			t.Fatal("a window reported before its end")
		}
		task.Report("", time.Unix(7, 0), out)
		if got := strings.Join(texts(out), " "); got != want {
			t.Errorf("the window is %s, want %s", got, want)
		}
		for _, e := range out.Events {
			if e.Time != 7e9 {
				t.Errorf("the time of a result is %d", e.Time)
			}
		}
		out.Events = out.Events[:0]
	}
	step(`{"k":"a","n":2,"s":3} {"k":"b","n":1,"s":5}`, `{"k":"a","v":1}`, `{"k":"b","v":5}`, `{"k":"a","v":2}`)
	step(`{"k":"b","n":1,"s":7}`, `{"k":"b","v":7}`)
	step("")
}

func TestHoppingWindow(t *testing.T) {
	task := compile(t, "SELECT COUNT(*) AS n, SUM(v) AS s, MIN(v) AS lo, MAX(v) AS hi FROM TAG:'t' WINDOW HOPPING (6 SECOND, ADVANCE BY 2 SECOND);", Options{})
	out := event.NewBatch("")
	defer out.Free()
	add := func(values ...int) {
		for _, v := range values {
			in := batch(t, "t", fmt.Sprintf(`{"v":%d}`, v))
			task.Process(in, time.Unix(1, 0), out)
			in.Free()
		}
	}
	report := func(want string) {
		t.Helper()
		task.Report("", time.Unix(7, 0), out)
		if got := strings.Join(texts(out), " "); got != want {
			t.Errorf("the window is %s, want %s", got, want)
		}
		out.Events = out.Events[:0]
	}
	add(1, 9)
	task.Hop() // 2
	add(4)
	task.Hop() // 4
	add(5)
	if !task.Fresh() {
		t.Error("nothing is fresh before the first report")
	}
	task.Hop() // 6
	report(`{"n":4,"s":19,"lo":1,"hi":9}`)
	if task.Fresh() {
		t.Error("something is fresh after a report")
	}
	task.Hop() // 8
	report(`{"n":2,"s":9,"lo":4,"hi":5}`)
	task.Hop() // 10
	report(`{"n":1,"s":5,"lo":5,"hi":5}`)
	task.Hop() // 12
	report("")
}

// TestConcurrentUse is for the race detector, and counts.
func TestConcurrentUse(t *testing.T) {
	task := compile(t, "SELECT k, COUNT(*) AS n, MAX(v) FROM TAG:'t' WINDOW HOPPING (4 SECOND, ADVANCE BY 2 SECOND) GROUP BY k;", Options{})
	plain := compile(t, "SELECT upper(k) AS k FROM TAG:'t' WHERE v > 1;", Options{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			in, out := batch(t, "t", `{"k":"a","v":1}`, `{"k":"b","v":2}`), event.NewBatch("")
			for range 100 {
				task.Process(in, time.Unix(1, 0), out)
				plain.Process(in, time.Unix(1, 0), out)
			}
			if got := texts(out); len(got) != 100 || got[99] != `{"k":"B"}` {
				t.Errorf("the results are %d of %s", len(got), got[len(got)-1])
			}
		})
	}
	wg.Go(func() {
		for range 20 {
			task.Hop()
			task.Groups()
		}
	})
	wg.Wait()
	out := event.NewBatch("")
	task.Report("", time.Unix(1, 0), out)
	if got := strings.Join(texts(out), " "); !strings.Contains(got, `{"k":"a","n":400,"MAX(v)":1}`) {
		t.Errorf("the window is %s", got)
	}
}

// TestForecast checks the line through values that lie on one.
func TestForecast(t *testing.T) {
	got := query(t, "SELECT TIMESERIES_FORECAST(v, 10) AS f FROM TAG:'t';", Options{}, `{"v":10}`, `{"v":12}`, `{"v":14}`)
	if want := `{"f":34.0}`; len(got) != 1 || got[0] != want {
		t.Errorf("the forecast is %s, want %s", got, want)
	}
	task := compile(t, "SELECT TIMESERIES_FORECAST(v, 10) AS f FROM TAG:'t' WINDOW HOPPING (6 SECOND, ADVANCE BY 2 SECOND);", Options{})
	in, out := batch(t, "t", `{"v":10}`, `{"v":12}`, `{"v":14}`), event.NewBatch("")
	all := in.Events
	for i := range all {
		in.Events = all[i : i+1]
		task.Process(in, time.Unix(1, 0), out)
		task.Hop()
	}
	task.Report("", time.Unix(7, 0), out)
	if got := texts(out); got[0] != `{"f":34.0}` {
		t.Errorf("the forecast over slots is %s", got)
	}
}

func TestSnapshot(t *testing.T) {
	set := NewSet()
	add := func(sql string) *Task {
		task, _, err := set.Compile("x", sql, Options{StateLimit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		set.Add(task)
		return task
	}
	snap := add("CREATE SNAPSHOT s WITH (tag='s', seconds='3') AS SELECT * FROM TAG:'t' LIMIT 4;")
	flush := add("FLUSH SNAPSHOT s AS SELECT * FROM TAG:'t' WHERE bad = true;")
	if flush.Stream() != "__flush_s" || flush.Tag() != "__flush_s" {
		t.Errorf("the stream of the flush is %q", flush.Stream())
	}
	out := event.NewBatch("")
	defer out.Free()
	step := func(want string, records ...string) {
		t.Helper()
		in := batch(t, "t", records...)
		defer in.Free()
		snap.Process(in, time.Unix(1, 0), out)
		flush.Process(in, time.Unix(1, 0), out)
		if got := strings.Join(texts(out), " "); got != want {
			t.Errorf("flushed is %s, want %s", got, want)
		}
		out.Events = out.Events[:0]
	}
	step("", `{"v":1}`, `{"v":2}`, `{"v":3}`)
	step(`{"v":5} {"v":6} {"v":7} {"bad":true}`, `{"v":4}`, `{"v":5}`, `{"v":6}`, `{"v":7}`, `{"bad":true}`)
	step(`{"bad":true}`, `{"bad":true}`)
	long := `{"v":"` + strings.Repeat("x", 600) + `"}`
	step("", long, long)
	if snap.Dropped() == 0 {
		t.Error("what a full snapshot let go is not counted")
	}
}

// TestStateLimit checks that a flood of groups is counted, not kept.
func TestStateLimit(t *testing.T) {
	task := compile(t, "SELECT k, COUNT(*) FROM TAG:'t' WINDOW TUMBLING (5 SECOND) GROUP BY k;", Options{StateLimit: 10000})
	in, out := event.NewBatch("t"), event.NewBatch("")
	for i := range 1000 {
		in.Add(0).SetRecord(event.AppendInt(append([]byte{0x81}, event.AppendString(nil, "k")...), int64(i)))
	}
	task.Process(in, time.Unix(1, 0), out)
	if n := task.Groups(); n < 20 || n > 50 || task.Dropped() != uint64(1000-n) {
		t.Errorf("there are %d groups and %d records were dropped", n, task.Dropped())
	}
	task.Report("", time.Unix(1, 0), out)
	if task.Groups() != 0 {
		t.Error("a report keeps groups")
	}
}

// TestSortLimit checks that what is sorted has a limit as well, and that LIMIT
// makes room.
func TestSortLimit(t *testing.T) {
	f := func(clause string, want int) {
		t.Helper()
		task := compile(t, "SELECT k ORDER BY k"+clause, Options{Exact: true, Loose: true, Whole: true, StateLimit: 400_000})
		in, out := event.NewBatch("t"), event.NewBatch("")
		for i := range 10_000 {
			in.Add(0).SetRecord(event.AppendInt(append([]byte{0x81}, event.AppendString(nil, "k")...), int64(10_000-i)))
		}
		task.Process(in, time.Unix(1, 0), out)
		task.Report("", time.Unix(1, 0), out)
		if want == 0 {
			want = 10_000 - int(task.Dropped())
		} else if task.Dropped() > 0 {
			t.Errorf("%d records were dropped with %q", task.Dropped(), clause)
		}
		if len(out.Events) != want || want > 5000 {
			t.Errorf("there are %d results with %q, want %d", len(out.Events), clause, want)
		}
	}
	f("", 0)
	f(" LIMIT 3", 3)
}

// TestGaveUp checks that matches that take too many steps are counted.
func TestGaveUp(t *testing.T) {
	task := compile(t, `SELECT regexp_extract(k, '^((?<b>x*)*\k<b>y)*$') AS r FROM TAG:'t' WHERE k =~ '^((?<b>x*)*\k<b>y)*$' OR k != '';`, Options{})
	in, out := batch(t, "t", `{"k":"`+strings.Repeat("x", 200)+`"}`), event.NewBatch("")
	defer in.Free()
	defer out.Free()
	task.Process(in, time.Unix(1, 0), out)
	if n := task.GaveUp(); n != 2 || len(out.Events) != 1 {
		t.Errorf("%d matches were given up for %d results, want 2 for 1", n, len(out.Events))
	}
}
