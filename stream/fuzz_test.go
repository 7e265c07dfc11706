package stream

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kagarilog/kagari/event"
)

// FuzzStatement checks that no statement and no record makes trouble: mistakes
// are within the statement, results are complete records.
func FuzzStatement(f *testing.F) {
	rec := `{"i":1,"s":"x","o":{"k":[1,{"z":null}]},"j":"{\"a\":1}","f":0.5,"b":true}`
	for _, sql := range hot {
		f.Add(sql, rec, true)
	}
	data, err := os.ReadFile("testdata/fluentbit.golden")
	if err != nil {
		f.Fatal(err)
	}
	for _, part := range strings.Split(string(data), "\n-- ")[2:] {
		head, _, _ := strings.Cut(part, " --\n")
		f.Add(head, rec, false)
	}
	f.Add("CREATE SNAPSHOT s WITH (tag='x', seconds='5') AS SELECT * FROM TAG:'t' LIMIT 5;", rec, false)
	f.Add("FLUSH SNAPSHOT s AS SELECT * FROM TAG:'t' WHERE i = 1;", rec, false)
	f.Add("SELECT TIMESERIES_FORECAST(i, 5), CASE i WHEN 1 THEN s ELSE \"f\" END AS c FROM TAG:'t' WINDOW HOPPING (5 SECOND, ADVANCE BY 1 SECOND) GROUP BY c HAVING COUNT(*) > 0;", rec, false)
	for name, fn := range functions {
		args := strings.TrimSuffix(strings.Repeat("s, ", fn.min), ", ")
		f.Add("SELECT "+name+"("+args+"), replace(s, 'x', '%'), json_extract(j, '$.a[0]'), regexp_extract(s, '(x)') ORDER BY 1 DESC LIMIT 1", rec, true)
	}
	f.Fuzz(func(t *testing.T, sql, record string, exact bool) {
		set := NewSet()
		task, warnings, err := set.Compile("x", sql, Options{Exact: exact, Loose: exact, Whole: exact, StateLimit: 4096})
		for _, w := range warnings {
			if w.Offset > len(sql) {
				t.Fatalf("a warning is at %d of %d", w.Offset, len(sql))
			}
		}
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Offset > len(sql) || e.Msg == "" || !strings.HasSuffix(e.Excerpt(), "^") {
				t.Fatalf("the error is %#v", err)
			}
			_ = e.Error()
			return
		}
		set.Add(task)
		in, out := event.NewBatch("t"), event.NewBatch("")
		defer in.Free()
		defer out.Free()
		for i, r := range []string{record, rec, `{}`, record} {
			v, _, err := event.AppendJSON(nil, []byte(r))
			if err == nil && event.Value(v).Kind() == event.KindMap {
				in.Add(int64(i) * 1e9).SetRecord(v)
			}
		}
		now := time.Unix(1700000000, 0)
		for range 2 {
			task.Process(in, now, out)
			if task.Window().Advance > 0 {
				task.Hop()
			}
		}
		task.Report("t", now, out)
		for i := range out.Events {
			r := out.Events[i].Record()
			v, rest, err := event.Next(r)
			if err != nil || len(rest) > 0 || v.Kind() != event.KindMap {
				t.Fatalf("%s makes %x of %s", sql, r, record)
			}
		}
	})
}
