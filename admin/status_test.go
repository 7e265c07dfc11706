package admin

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagarilog/kagari/plugin"
)

func TestStatusGathersWhatTheMetricsAndStatesSay(t *testing.T) {
	r := &router{uptime: 90 * time.Second, reloads: 2, phase: plugin.PhaseRunning}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r.states = []plugin.State{
		{Kind: plugin.KindInput, Name: "web", Plugin: "tail", Condition: plugin.ConditionFailed, Failure: plugin.Failure{At: at, Text: "no file"}},
		{Kind: plugin.KindFilter, Name: "grep.0", Plugin: "grep"},
		{Kind: plugin.KindProcessor, Name: "lua.0", Plugin: "lua"},
		{Kind: plugin.KindOutput, Name: "http.0", Plugin: "http", Oldest: time.Now().Add(-time.Hour), Failure: plugin.Failure{At: at, Text: "refused"}},
	}
	r.set("fluentbit_input_records_total", 7, "name", "web")
	r.set("fluentbit_input_bytes_total", 70, "name", "web")
	r.set("fluentbit_input_ingestion_paused", 1, "name", "web")
	r.set("fluentbit_input_storage_memory_bytes", 5, "name", "web")
	r.set("kagari_input_memory_limit_bytes", 10, "name", "web")
	r.set("fluentbit_input_storage_chunks", 3, "name", "web")
	r.set("fluentbit_filter_drop_records_total", 4, "name", "grep.0")
	r.set("fluentbit_filter_add_records_total", 1, "name", "grep.0")
	r.set("fluentbit_filter_records_total", 7, "name", "grep.0")
	proc := []string{"scope", "input", "owner", "web", "processor", "lua", "stage", "0", "signal", "logs"}
	r.set("fluentbit_processor_items_in_total", 9, proc...)
	r.set("fluentbit_processor_items_out_total", 8, proc...)
	r.set("fluentbit_processor_items_drop_total", 1, proc...)
	r.set("fluentbit_output_proc_records_total", 3, "name", "http.0")
	r.set("fluentbit_output_proc_bytes_total", 30, "name", "http.0")
	r.set("fluentbit_output_errors_total", 1, "name", "http.0")
	r.set("fluentbit_output_retries_total", 2, "name", "http.0")
	r.set("fluentbit_output_retries_failed_total", 1, "name", "http.0")
	r.set("fluentbit_output_dropped_records_total", 4, "name", "http.0")
	r.set("kagari_output_pending_chunks", 3, "name", "http.0")
	r.set("kagari_output_pending_bytes", 300, "name", "http.0")
	r.set("kagari_output_retrying_chunks", 2, "name", "http.0")
	r.set("kagari_output_oldest_event_seconds", 3600.00049, "name", "http.0")
	r.set("kagari_memory_bytes", 11)
	r.set("kagari_memory_limit_bytes", 22)
	r.set("kagari_storage_bytes", 33)
	r.set("fluentbit_storage_chunks", 3)
	r.set("fluentbit_storage_mem_chunks", 1)
	r.set("fluentbit_storage_fs_chunks", 2)
	r.set(plugin.DropMetric, 2, "name", "http.0", "plugin", "http", "reason", "refused")
	r.set(plugin.DropMetric, 0, "name", "web", "plugin", "tail", "reason", "no_output_matches")
	r.set("kagari_dead_letters_total", 2, "name", "http.0", "reason", "refused")
	r.set(plugin.RejectMetric, 5, "name", "web", "plugin", "tail", "reason", "file_unreadable")
	r.set("fluentbit_input_long_line_truncated_total", 1, "name", "web")
	r.set("kagari_storage_damaged_chunks_total", 1)
	r.set("kagari_reload_undelivered_events_total", 6)
	s := server(r, func(o *Options) { o.Config = "/etc/k.conf"; o.ReadyMaxAge = time.Minute })

	status, typ, body := ask(s, "GET", "/api/v1/kagari/status")
	if status != 200 || typ != "application/json" {
		t.Errorf("%d %s", status, typ)
	}
	var got Status
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if time.Since(got.Time) > time.Minute {
		t.Errorf("the time is %v", got.Time)
	}
	if got.Ready == nil || got.Ready.Status != "not_ready" || len(got.Ready.Reasons) != 2 {
		t.Errorf("readiness: %+v", got.Ready)
	}
	got.Time, got.Ready = time.Time{}, nil
	want := Status{
		Software: "kagari", Version: "v9.9.9", Compatible: "Fluent Bit 5.1.1", Config: "/etc/k.conf", Phase: plugin.PhaseRunning, Uptime: 90, Reloads: 2, Health: "ok",
		Memory:  &Memory{Bytes: 11, Limit: 22},
		Storage: &Storage{Chunks: 3, Memory: 1, Stored: 2, Bytes: 33},
		Inputs: []Input{{Name: "web", Plugin: "tail", Condition: plugin.ConditionFailed, Paused: true, Records: 7, Bytes: 70, Memory: 5, MemoryLimit: 10, Chunks: 3,
			LastError: &Failure{At: at, Text: "no file"}}},
		Filters: []Filter{{Name: "grep.0", Plugin: "grep", In: 7, Added: 1, Dropped: 4, Out: 4},
			{Name: "lua.0", Plugin: "lua", Owner: "web", In: 9, Out: 8, Dropped: 1}},
		Outputs: []Output{{Name: "http.0", Plugin: "http", Records: 3, Bytes: 30, Dropped: 4, Errors: 1, Retries: 2, RetriesFailed: 1,
			Backlog: &Backlog{Chunks: 3, Bytes: 300, Retrying: 2, Oldest: 3600}, LastError: &Failure{At: at, Text: "refused"}}},
		Losses: []Loss{
			{Name: "", What: "dropped", Reason: "not_delivered_before_reload", Count: 6},
			{Name: "web", Plugin: "tail", What: "refused", Reason: "file_unreadable", Count: 5},
			{Name: "http.0", Plugin: "http", What: "dropped", Reason: "refused", Count: 2},
			{Name: "http.0", Plugin: "http", What: "kept", Reason: "refused", Count: 2},
			{Name: "web", Plugin: "tail", What: "cut", Reason: "line_too_long", Count: 1},
			{Name: "", What: "damaged", Reason: "stored_chunks_set_aside", Count: 1},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestReadiness(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	in := func(c plugin.Condition, text string) plugin.State {
		return plugin.State{Kind: plugin.KindInput, Name: "in", Condition: c, Failure: plugin.Failure{At: now, Text: text}}
	}
	out := func(age time.Duration) plugin.State {
		s := plugin.State{Kind: plugin.KindOutput, Name: "archive", Failure: plugin.Failure{At: now, Text: "refused"}}
		if age > 0 {
			s.Oldest = now.Add(-age)
		}
		return s
	}
	f := func(phase plugin.Phase, limit time.Duration, want string, states ...plugin.State) {
		t.Helper()
		r := readiness(phase, states, limit, now)
		if got := strings.Join(r.Reasons, "; "); got != want || (r.Status == "ready") != (want == "") {
			t.Errorf("%s: %q, want %q", r.Status, got, want)
		}
	}
	const running = plugin.PhaseRunning
	f(running, time.Minute, "")
	f(running, time.Minute, "", in(plugin.ConditionRunning, ""), out(0), out(time.Minute))
	f(running, time.Minute, "", in(plugin.ConditionRunning, "earlier"), in(plugin.ConditionEnded, ""))
	f(running, time.Minute, "output archive: its oldest event has waited for 1m1s, longer than 1m0s", out(61*time.Second))
	f(running, 0, "", out(1000*time.Hour))
	f(running, time.Minute, "input in does not run: address in use", in(plugin.ConditionFailed, "address in use"))
	f(plugin.PhaseStarting, time.Minute, "the router is starting; input in is starting", in(plugin.ConditionStarting, ""))
	f(plugin.PhaseStopping, time.Minute, "the router is stopping", in(plugin.ConditionRunning, ""))
	f(running, time.Minute, "", out(-time.Hour)) // A clock that was set back.
}

func TestReadyAnswers(t *testing.T) {
	r := &router{phase: plugin.PhaseRunning, states: []plugin.State{{Kind: plugin.KindOutput, Name: "http.0", Failure: plugin.Failure{At: time.Now(), Text: "refused"}}}}
	s := server(r, func(o *Options) { o.ReadyMaxAge = 30 * time.Minute })
	status, typ, body := ask(s, "GET", "/api/v1/ready")
	if want := `{"status":"ready","reasons":[],"phase":"running","max_age_seconds":1800,"inputs":[],"outputs":[{"name":"http.0","ready":true,"oldest_event_seconds":0}]}` + "\n"; status != 200 || typ != "application/json" || body != want {
		t.Errorf("%d %s %s, want 200 %s", status, typ, body, want)
	}
	r.states[0].Oldest = time.Now().Add(-time.Hour)
	status, _, body = ask(s, "GET", "/api/v1/ready/")
	for _, part := range []string{`"status":"not_ready"`, `"reasons":["output http.0: its oldest event has waited for 1h0m0s, longer than 30m0s"]`,
		`"name":"http.0","ready":false,"oldest_event_seconds":3600`, `"last_error":"refused"`} {
		if status != 503 || !strings.Contains(body, part) {
			t.Errorf("%d %s, want 503 and %s", status, body, part)
		}
	}
}
