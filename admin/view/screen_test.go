package view

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/kagarilog/kagari/admin"
	"github.com/kagarilog/kagari/plugin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got)\n%s", file, diff)
	}
}

var now = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func ptr(f float64) *float64 { return &f }

// troubled is a router with something in every place.
func troubled() *admin.Status {
	return &admin.Status{
		Software: "kagari", Version: "v1.2.3", Config: "/etc/fluent-bit/fluent-bit.yaml", Phase: plugin.PhaseRunning, Time: now, Uptime: 2*86400 + 3*3600, Reloads: 1, Health: "error",
		Ready: &admin.Readiness{Status: "not_ready", Reasons: []string{"input syslog.1 does not run: listen on tcp 0.0.0.0:514: permission denied",
			"output archive: its oldest event has waited for 2h7m0s, longer than 15m0s"},
			Outputs: []admin.ReadyOutput{{Name: "http.0", Ready: true}, {Name: "archive", Ready: false}}},
		Memory: &admin.Memory{Bytes: 12 << 20, Limit: 32 << 20}, Storage: &admin.Storage{Chunks: 141, Memory: 10, Stored: 131, Bytes: 260 << 20},
		Inputs: []admin.Input{
			{Name: "tail.0", Plugin: "tail", Condition: plugin.ConditionRunning, Records: 123456789, Bytes: 45 << 30, Memory: 3 << 20, MemoryLimit: 16 << 20, RecordsPerSecond: ptr(12345.6), BytesPerSecond: ptr(4.2e6)},
			{Name: "syslog.1", Plugin: "syslog", Condition: plugin.ConditionFailed, LastError: &admin.Failure{At: now.Add(-12 * time.Second), Text: "listen on tcp 0.0.0.0:514: permission denied"}},
			{Name: "アプリのログ", Plugin: "forward", Condition: plugin.ConditionRunning, Paused: true, Records: 99999, Bytes: 1023, Memory: 16 << 20, MemoryLimit: 16 << 20, RecordsPerSecond: ptr(0), BytesPerSecond: ptr(0)},
			{Name: "emitter_for_rewrite_tag.0", Records: 5, Bytes: 512},
		},
		Filters: []admin.Filter{
			{Name: "grep.0", Plugin: "grep", In: 123456789, Out: 23456789, Dropped: 100000000, InPerSecond: ptr(12345.6)},
			{Name: "content_modifier.0", Plugin: "content_modifier", Owner: "tail.0", In: 7, Out: 7, InPerSecond: ptr(0.25)},
			{Name: "lua.2", Plugin: "lua", In: 7, Out: 7, LastError: &admin.Failure{At: now.Add(-time.Hour), Text: "script.lua:3: attempt to index a nil value"}},
		},
		Outputs: []admin.Output{
			{Name: "http.0", Plugin: "http", Records: 23456789, Bytes: 9 << 30, RecordsPerSecond: ptr(2345), BytesPerSecond: ptr(1 << 20), Backlog: &admin.Backlog{Chunks: 1, Bytes: 70000, Oldest: 0.7}},
			{Name: "archive", Plugin: "s3", Records: 1000, Bytes: 100000, Dropped: 12, Errors: 1, Retries: 321, RecordsPerSecond: ptr(0), BytesPerSecond: ptr(0),
				Backlog:   &admin.Backlog{Chunks: 140, Bytes: 270 << 20, Retrying: 131, Oldest: 7620},
				LastError: &admin.Failure{At: now.Add(-3 * time.Second), Text: "PUT https://bucket.s3.eu-west-1.amazonaws.com/logs: 503 Slow Down: Please reduce your request rate, says the server at length"}},
		},
		Losses: []admin.Loss{
			{Name: "tail.0", Plugin: "tail", What: "dropped", Reason: "line_too_long", Count: 123456, PerSecond: ptr(3.25)},
			{Name: "archive", Plugin: "s3", What: "dropped", Reason: "rejected", Count: 12, PerSecond: ptr(0)},
			{What: "damaged", Reason: "stored_chunks_set_aside", Count: 1},
		},
	}
}

func healthy() *admin.Status {
	return &admin.Status{
		Software: "kagari", Version: "v1.2.3", Config: "k.conf", Phase: plugin.PhaseRunning, Time: now, Uptime: 59.9, Health: "ok",
		Ready:   &admin.Readiness{Status: "ready"},
		Memory:  &admin.Memory{Bytes: 0, Limit: 32 << 20},
		Storage: &admin.Storage{},
		Inputs:  []admin.Input{{Name: "dummy.0", Plugin: "dummy", Condition: plugin.ConditionRunning, Records: 59, Bytes: 1652}},
		Outputs: []admin.Output{{Name: "null.0", Plugin: "null", Records: 58, Bytes: 1624, Backlog: &admin.Backlog{}}},
	}
}

func draw(sc Screen, st *admin.Status) string { return strings.Join(sc.Draw(st), "\n") + "\n" }

func TestScreens(t *testing.T) {
	const address = "http://127.0.0.1:2020"
	golden(t, "healthy80", draw(Screen{Width: 80, Address: address}, healthy()))
	golden(t, "troubled80", draw(Screen{Width: 80, Address: address}, troubled()))
	golden(t, "troubled120", draw(Screen{Width: 120, Address: address}, troubled()))
	golden(t, "troubled60", draw(Screen{Width: 20, Address: address}, troubled()))
	golden(t, "top80", draw(Screen{Width: 80, Height: 24, Busiest: true, Address: address}, troubled()))
	golden(t, "colour80", draw(Screen{Width: 80, Colour: true, Address: address}, troubled()))
	fluent := admin.NewStatus(parseMetrics(fluentBitMetrics), nil)
	fluent.Software, fluent.Version, fluent.Health, fluent.Time = "Fluent Bit", "5.1.1", "ok", now
	golden(t, "fluentbit80", draw(Screen{Width: 80, Address: address}, fluent))
}

func TestNoLineIsWiderThanTheTerminal(t *testing.T) {
	for _, st := range []*admin.Status{troubled(), healthy()} {
		st.Config = strings.Repeat("/長い", 100)
		st.Inputs[0].Name = strings.Repeat("w", 300)
		for wide := 60; wide < 200; wide++ {
			for _, line := range (Screen{Width: wide, Address: "http://h:1"}).Draw(st) {
				if columns(line) > wide {
					t.Fatalf("%d columns at a width of %d: %s", columns(line), wide, line)
				}
			}
		}
	}
}

// What others chose must not take over the terminal.
func TestNothingMovesTheCursor(t *testing.T) {
	st := troubled()
	const evil = "a\x1b[2Jb\rc\nd\te\u202ef\u009bg\x00\xff"
	st.Version, st.Config, st.Health = evil, evil, evil
	st.Ready.Reasons = []string{evil}
	st.Inputs[0].Name, st.Inputs[0].Plugin, st.Inputs[0].Condition = evil, evil, plugin.Condition(evil)
	st.Filters[0].Owner = evil
	st.Outputs[0].LastError = &admin.Failure{At: now, Text: evil}
	st.Losses[0] = admin.Loss{Name: evil, What: evil, Reason: evil, Count: 1}
	for _, line := range (Screen{Width: 300, Address: evil}).Draw(st) {
		if strings.ContainsAny(line, "\x1b\r\n\t\u202e\u009b\x00") {
			t.Errorf("%q", line)
		}
	}
}

func TestWhatIsInTroubleComesFirst(t *testing.T) {
	st := troubled()
	sorted := busiestFirst(st)
	if a, b := sorted.Inputs[0].Name, sorted.Inputs[1].Name; a != "syslog.1" || b != "アプリのログ" {
		t.Errorf("inputs: %s, %s", a, b)
	}
	if sorted.Outputs[0].Name != "archive" || sorted.Filters[0].Name != "grep.0" || sorted.Losses[0].Name != "tail.0" {
		t.Errorf("%+v", sorted)
	}
	if diff := cmp.Diff(troubled(), st); diff != "" {
		t.Errorf("the status itself was changed: %s", diff)
	}
}

func TestUnits(t *testing.T) {
	f := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	f(count(0), "0")
	f(count(99999), "99999")
	f(count(100000), "100k")
	f(count(123456789), "123M")
	f(count(1e18), "1.0E")
	f(count(1.8e19), "18.0E")
	f(perSecond(nil), "-")
	f(perSecond(ptr(0)), "0")
	f(perSecond(ptr(0.04)), "0.0")
	f(perSecond(ptr(9.96)), "10")
	f(size(1023), "1023B")
	f(size(1023.9), "1.0K")
	f(size(1024), "1.0K")
	f(size(150<<20), "150M")
	f(span(-5), "0s")
	f(span(59.9), "59s")
	f(span(185), "3m05s")
	f(span(7620), "2h07m")
	f(span(5*86400+3*3600), "5d03h")
	f(Fit("日本語", 5), "日本…")
	f(Fit("日本語", 6), "日本語")
	f(Fit("abc", 0), "…")
	f(pad("日本", 6, true), "  日本")
}

func TestRates(t *testing.T) {
	prev := &admin.Status{Time: now, Uptime: 10, Inputs: []admin.Input{{Name: "a", Records: 10, Bytes: 100}, {Name: "b", Records: 10}},
		Filters: []admin.Filter{{Name: "f", In: 1}}, Outputs: []admin.Output{{Name: "o", Records: 2, Bytes: 4}},
		Losses: []admin.Loss{{Name: "a", What: "dropped", Reason: "x", Count: 3}}}
	next := func() *admin.Status {
		return &admin.Status{Time: now.Add(2 * time.Second), Uptime: 12, Inputs: []admin.Input{{Name: "b", Records: 5}, {Name: "a", Records: 13, Bytes: 120}, {Name: "new", Records: 7}},
			Filters: []admin.Filter{{Name: "f", In: 2}}, Outputs: []admin.Output{{Name: "o", Records: 4, Bytes: 4}},
			Losses: []admin.Loss{{Name: "a", What: "dropped", Reason: "x", Count: 5}, {Name: "a", What: "dropped", Reason: "y", Count: 1}}}
	}
	cur := next()
	Rates(prev, cur)
	want := next()
	want.Inputs[1].RecordsPerSecond, want.Inputs[1].BytesPerSecond = ptr(1.5), ptr(10)
	want.Inputs[0].BytesPerSecond = ptr(0)
	want.Filters[0].InPerSecond = ptr(0.5)
	want.Outputs[0].RecordsPerSecond, want.Outputs[0].BytesPerSecond = ptr(1), ptr(0)
	want.Losses[0].PerSecond, want.Losses[1].PerSecond = ptr(1), ptr(0.5)
	if diff := cmp.Diff(want, cur); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	restarted := next()
	restarted.Uptime = 1
	Rates(prev, restarted)
	if restarted.Inputs[1].RecordsPerSecond != nil {
		t.Error("a router that was started again has rates at once")
	}
}
