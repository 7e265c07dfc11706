package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// runsOf makes measurements of the given CPU times.
func runsOf(peak int64, cpu ...float64) *measured {
	var runs []sample
	for _, c := range cpu {
		runs = append(runs, sample{CPU: c, Wall: 2 * c, Peak: peak, Start: 10})
	}
	return newMeasured(runs)
}

func TestMedian(t *testing.T) {
	if m := runsOf(5, 3, 1, 2); m.CPU != 2 || m.Wall != 4 || m.Peak != 5 || len(m.Runs) != 3 {
		t.Errorf("got %+v", m)
	}
	if m := runsOf(5, 4, 1, 2, 3); m.CPU != 2 {
		t.Errorf("got %v, want the lower of the middle two", m.CPU)
	}
	if newMeasured(nil) != nil {
		t.Error("want nil without runs")
	}
	m := newMeasured([]sample{{Missing: 1}, {Duplicates: 2}})
	if m.Missing != 1 || m.Duplicates != 2 {
		t.Errorf("got %+v, want the worst of all runs", m)
	}
}

func TestJudge(t *testing.T) {
	third := row{name: "x", title: "x", ours: 1, theirs: 3}
	f := func(theirs, ours *measured, want status, note string) {
		t.Helper()
		r := &result{row: third, Target: third.target(), Theirs: theirs, Ours: ours}
		r.judge()
		if notes := strings.Join(r.Notes, "; "); r.Status != want || !strings.Contains(notes, note) || note == "" && notes != "" {
			t.Errorf("got %s, %q, want %s, %q", r.Status, notes, want, note)
		}
	}
	const mb = 1 << 20
	f(runsOf(9*mb, 3), runsOf(9*mb, 1), passed, "")
	f(runsOf(9*mb, 3), runsOf(9*mb, 1.01), failed, "")
	f(runsOf(900*mb, 3), runsOf(64*mb, 0.5), passed, "")
	f(runsOf(9*mb, 3), runsOf(65*mb, 0.5), failed, "used 65 MB")
	f(nil, runsOf(9*mb, 1), noRatio, "")
	f(nil, runsOf(65*mb, 1), failed, "used 65 MB")
	f(runsOf(9*mb, 3), nil, failed, "")
	lossy := runsOf(mb, 0.5)
	lossy.Missing = 2
	f(runsOf(9*mb, 3), lossy, failed, "kagari: 2 missing")
	f(lossy, runsOf(mb, 0.1), passed, "fluent-bit: 2 missing")

	r := &result{row: third, Target: third.target(), Theirs: runsOf(mb, 3), Ours: lossy}
	if r.judge(); r.Ratio != 0 {
		t.Errorf("got ratio %v for a run that lost records", r.Ratio)
	}
}

// sampleReport has a row of each kind.
func sampleReport() *report {
	rep := newReport(1000, 3, &program{name: "kagari", version: "v1"}, nil)
	rep.Size = 28 << 20
	for _, r := range []*result{
		{row: rows[0], Theirs: runsOf(108<<20, 1.41), Ours: runsOf(12<<20, 0.3)},
		{row: rows[1], Theirs: runsOf(54<<20, 3), Ours: runsOf(0, 1.5)},
		{row: rows[5], Status: notYet, Notes: []string{"needs filter lua"}},
		{row: rows[8], Ours: runsOf(20<<20, 0.5)},
	} {
		r.Name, r.Title, r.Target = r.row.name, r.row.title, r.row.target()
		r.judge()
		rep.Rows = append(rep.Rows, r)
	}
	return rep
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	if err := sampleReport().table(&b); err != nil {
		t.Fatal(err)
	}
	const want = `workload                Fluent Bit  memory  wall   kagari  memory  wall   ratio  target  
tail, no parser → null  1.41        108 MB  2.8 s  0.30    12 MB   0.6 s  1/4.7  1/3     pass
tail JSON → null        3.00        54 MB   6.0 s  1.50    ?       3.0 s  1/2.0  1/5     FAIL
tail JSON, Lua → null   -           -       -      -       -       -      -      1/1.5   not yet
forward messages → null -           -       -      0.50    20 MB   1.0 s  -      1/3     no ratio

CPU seconds (user and system) per million records, peak memory, and seconds from the start to the last record; medians of 3 runs of 1000 records each.
tail-json-lua-null: needs filter lua
binary: 28 MB, at most 60 MB: pass
start until the input accepts, slowest row: 10 ms, at most 100 ms: pass (Fluent Bit 10 ms)
`
	squeeze := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	if got := b.String(); squeeze(got) != squeeze(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestReportFailsWithAnyRow(t *testing.T) {
	rep := sampleReport()
	if !rep.failed() {
		t.Error("want it to fail")
	}
	rep.Rows = []*result{rep.Rows[0], rep.Rows[2], rep.Rows[3]}
	if rep.failed() {
		t.Error("a row that is not there yet or has no ratio must not fail")
	}
}

func TestReportJSON(t *testing.T) {
	name := filepath.Join(t.TempDir(), "bench.json")
	want := sampleReport()
	if err := want.writeJSON(name); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var got report
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	for _, r := range want.Rows {
		r.row = row{}
	}
	if !reflect.DeepEqual(&got, want) {
		t.Errorf("got %+v, want %+v", got, *want)
	}
}

func TestRows(t *testing.T) {
	names := map[string]bool{}
	for _, r := range rows {
		if names[r.name] {
			t.Errorf("%s is there twice", r.name)
		}
		names[r.name] = true
		text := r.pipeline()
		for _, c := range []struct {
			part string
			want bool
		}{
			{"${BENCH_FILE}", !r.source.stream},
			{"${BENCH_INPUT_PORT}", r.source.stream},
			{"${BENCH_SINK_PORT}", r.sink},
			{"Name  null", !r.sink},
			{"streams.conf", r.streams != ""},
			{"Parser         bench_", r.parsers != ""},
		} {
			if strings.Contains(text, c.part) != c.want {
				t.Errorf("%s: %q in the configuration: want %v", r.name, c.part, c.want)
			}
		}
		if r.target() <= 0 || r.target() > 1 {
			t.Errorf("%s: target %v", r.name, r.target())
		}
	}
}

func TestSelectRows(t *testing.T) {
	f := func(glob string, want int) {
		t.Helper()
		if got, err := selectRows(glob); err != nil || len(got) != want {
			t.Errorf("%q: got %d rows, %v, want %d", glob, len(got), err, want)
		}
	}
	f("*", len(rows))
	f("tail-json-null", 1)
	f("forward-*", 5)
	for _, bad := range []string{"nothing", "[", ""} {
		if _, err := selectRows(bad); err == nil {
			t.Errorf("%q: want an error", bad)
		}
	}
}
