package stream

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kagarilog/kagari/event"
)

// TestFluentBit compares results with those of Fluent Bit 5.1.1, which were
// recorded in testdata/fluentbit.golden.
func TestFluentBit(t *testing.T) {
	data, err := os.ReadFile("testdata/fluentbit.golden")
	if err != nil {
		t.Fatal(err)
	}
	var records []string
	for i, part := range strings.Split(string(data), "\n-- ")[1:] {
		head, body, _ := strings.Cut(part, " --\n")
		lines := strings.Split(strings.TrimSpace(body), "\n")
		if i == 0 {
			records = lines
			continue
		}
		if strings.Contains(head, "contains(arr)") {
			continue // Fluent Bit takes an array for missing.
		}
		want := strings.TrimSpace(body)
		if got := strings.Join(query(t, head, Options{}, records...), "\n"); got != want {
			t.Errorf("%s\n gives\n%s\nwant\n%s", head, got, want)
		}
	}
}

// query runs a statement over records with the tag t and the time 1700000000.5,
// and returns the results as JSON.
func query(t testing.TB, sql string, o Options, records ...string) []string {
	t.Helper()
	task := compile(t, sql, o)
	in, out := batch(t, "t", records...), event.NewBatch("")
	defer in.Free()
	defer out.Free()
	now := time.Unix(1700000100, 0)
	task.Process(in, now, out)
	if task.Window().Size > 0 || o.Exact && (task.Aggregates() || len(task.plan.order) > 0) {
		task.Report("t", now, out)
	}
	return texts(out)
}

func compile(t testing.TB, sql string, o Options) *Task {
	t.Helper()
	set := NewSet()
	task, _, err := set.Compile("task", sql, o)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	set.Add(task)
	return task
}

func batch(t testing.TB, tag string, records ...string) *event.Batch {
	t.Helper()
	b := event.NewBatch(tag)
	for i, rec := range records {
		v, _, err := event.AppendJSON(nil, []byte(rec))
		if err != nil {
			t.Fatalf("%s: %v", rec, err)
		}
		b.Add(1700000000_500000000 + int64(i)*1e9).SetRecord(v)
	}
	return b
}

func texts(b *event.Batch) []string {
	var out []string
	for i := range b.Events {
		out = append(out, string(event.AppendValueJSON(nil, b.Events[i].Record(), event.JSONOptions{})))
	}
	return out
}
