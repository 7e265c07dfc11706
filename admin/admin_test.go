package admin

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/kagarilog/kagari/plugin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// router is what the tests serve.
type router struct {
	mu      sync.Mutex
	metrics []plugin.Metric
	reloads int
	err     error
	uptime  time.Duration
	phase   plugin.Phase
	states  []plugin.State
}

func (r *router) Metrics() []plugin.Metric {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.metrics)
}

func (r *router) set(name string, v float64, labels ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := plugin.Metric{Name: name, Help: "Help for " + name + ".", Value: v}
	for i := 0; i < len(labels); i += 2 {
		m.Labels = append(m.Labels, plugin.Label{Name: labels[i], Value: labels[i+1]})
	}
	for i, old := range r.metrics {
		if old.Name == name && slices.Equal(old.Labels, m.Labels) {
			r.metrics[i] = m
			return
		}
	}
	r.metrics = append(r.metrics, m)
}

func (r *router) Uptime() time.Duration { return r.uptime }

func (r *router) States() (plugin.Phase, []plugin.State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.phase, slices.Clone(r.states)
}

func (r *router) Reloads() int { return r.reloads }

func (r *router) Reload() error {
	if r.err == nil {
		r.reloads++
	}
	return r.err
}

func server(r Router, change func(*Options)) *Server {
	opts := Options{Listen: "127.0.0.1", Port: "0", Version: "v9.9.9", StorageMetrics: true, HotReload: true,
		Health: HealthOptions{Enabled: true, ErrorsCount: 5, RetryFailureCount: 5, Period: time.Minute},
		Plugins: plugin.NewRegistry(
			&plugin.Def{Kind: plugin.KindInput, Name: "tail"},
			&plugin.Def{Kind: plugin.KindInput, Name: "internal", Hidden: true},
			&plugin.Def{Kind: plugin.KindProcessor, Name: "proc"},
			&plugin.Def{Kind: plugin.KindOutput, Name: "null"}),
		Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&opts)
	}
	return New(r, opts)
}

// ask sends one request to the routes.
func ask(s *Server, method, path string) (status int, contentType, body string) {
	w := httptest.NewRecorder()
	s.http.Handler.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w.Code, w.Header().Get("Content-Type"), w.Body.String()
}

// The bodies are what Fluent Bit 5.1.1 answers, recorded, but for the end of line.
func TestAnswersHaveTheFormOfFluentBit(t *testing.T) {
	r := &router{uptime: 26*time.Hour + time.Minute + 3*time.Second}
	r.set("fluentbit_input_records_total", 2, "name", `"du mmy"`)
	r.set("fluentbit_input_bytes_total", 56, "name", `"du mmy"`)
	r.set("fluentbit_input_records_total", 3, "name", "dummy.1")
	r.set("fluentbit_input_files_opened_total", 3, "name", "dummy.1")
	r.set("fluentbit_input_ring_buffer_writes_total", 3, "name", "dummy.1")
	r.set("fluentbit_filter_emit_records_total", 4, "name", "rewrite_tag.0")
	r.set("fluentbit_filter_drop_records_total", 0, "name", "rewrite_tag.0")
	r.set("fluentbit_output_proc_records_total", 18446744073709, "name", "zz")
	r.set("fluentbit_output_errors_total", 1, "name", "zz")
	r.set("fluentbit_storage_chunks", 3)
	r.set("fluentbit_storage_mem_chunks", 1)
	r.set("fluentbit_storage_fs_chunks", 2)
	r.set("fluentbit_storage_fs_chunks_up", 1)
	r.set("fluentbit_storage_fs_chunks_down", 1)
	r.set("fluentbit_input_storage_memory_bytes", 84, "name", "dummy.1")
	r.set("kagari_input_memory_limit_bytes", 100e6, "name", "dummy.1")
	r.set("fluentbit_input_storage_overlimit", 0, "name", "dummy.1")
	r.set("fluentbit_input_storage_chunks", 1, "name", "dummy.1")
	r.set("fluentbit_input_storage_chunks_busy_bytes", 0, "name", "dummy.1")
	s := server(r, nil)
	f := func(path, wantType, want string) {
		t.Helper()
		for _, p := range []string{path, path + "/"} {
			status, typ, body := ask(s, "GET", p)
			if status != 200 || !strings.HasPrefix(typ, wantType) || strings.TrimSuffix(body, "\n") != want {
				t.Errorf("GET %s: %d %s\n%s\nwant\n%s", p, status, typ, body, want)
			}
			if p == "/" {
				break
			}
		}
	}
	f("/", "application/json", `{"fluent-bit":{"edition":"Community","flags":[],"version":"5.1.1"},"kagari":{"version":"v9.9.9"}}`)
	f("/api/v1/uptime", "application/json", `{"uptime_sec":93663,"uptime_hr":"Fluent Bit has been running:  1 day, 2 hours, 1 minute and 3 seconds"}`)
	f("/api/v1/metrics", "application/json", `{"input":{"\"du mmy\"":{"records":2,"bytes":56},"dummy.1":{"records":3,"files_opened":3}},"filter":{"rewrite_tag.0":{"drop_records":0,"emit_records":4}},"output":{"zz":{"proc_records":18446744073709,"errors":1}}}`)
	f("/api/v1/health", "text/plain", `ok`)
	f("/api/v2/health", "application/json", `{"status":"ok","errors":0,"retries_failed":0,"error_limit":5,"retry_failure_limit":5,"period_limit":60}`)
	f("/api/v1/plugins", "application/json", `{"plugins":{"filters":[],"inputs":["tail"],"outputs":["null"]}}`)
	f("/api/v2/reload", "application/json", `{"hot_reload_count":0}`)
	f("/api/v1/storage", "application/json", `{"input_chunks":{"dummy.1":{"status":{"overlimit":false,"mem_size":"84b","mem_limit":"95.4M"},"chunks":{"total":1,"up":0,"down":0,"busy":0,"busy_size":"0b"}}},"storage_layer":{"chunks":{"total_chunks":3,"mem_chunks":1,"fs_chunks":2,"fs_chunks_up":1,"fs_chunks_down":1}}}`)
}

func TestMethods(t *testing.T) {
	s := server(&router{}, nil)
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{"HEAD", "/api/v1/health", 200}, {"POST", "/api/v1/uptime", 200}, {"PUT", "/api/v1/metrics", 200}, {"DELETE", "/api/v1/health", 200},
		{"DELETE", "/api/v2/reload", 405}, {"GET", "/nope", 404}, {"GET", "/api", 404}, {"GET", "/api/v2/uptime", 404},
		{"GET", "/debug/pprof/", 404}, {"GET", "/api//", 404}, {"GET", "/api/v1/../../etc/passwd", 404},
	} {
		w := httptest.NewRecorder()
		s.http.Handler.ServeHTTP(w, &http.Request{Method: c.method, URL: httptest.NewRequest("GET", "http://x"+c.path, nil).URL, Host: "x"})
		if status := w.Code; status != c.want && !(c.want == 404 && status/100 == 3) {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, status, c.want)
		}
	}
}

func TestReload(t *testing.T) {
	r := &router{}
	f := func(s *Server, method string, wantStatus int, want string) {
		t.Helper()
		status, _, body := ask(s, method, "/api/v2/reload")
		if status != wantStatus || strings.TrimSpace(body) != want {
			t.Errorf("%d %s, want %d %s", status, body, wantStatus, want)
		}
	}
	f(server(r, nil), "POST", 200, `{"reload":"done","status":0}`)
	f(server(r, nil), "PUT", 200, `{"reload":"done","status":0}`)
	f(server(r, nil), "GET", 200, `{"hot_reload_count":2}`)
	f(server(r, func(o *Options) { o.HotReload = false }), "POST", 400, `{"reload":"not enabled","status":-1}`)
	r.err = errors.New("line 3 is wrong")
	f(server(r, nil), "POST", 400, `{"error":"line 3 is wrong","reload":"failed","status":-1}`)
}

func TestNamesOfAnyKindGiveValidAnswers(t *testing.T) {
	r := &router{}
	for _, name := range []string{"ü", "a\"b\\", "bad\xff", "\x01", "</script>"} {
		r.set("fluentbit_input_records_total", 1, "name", name)
	}
	s := server(r, nil)
	_, _, body := ask(s, "GET", "/api/v1/metrics")
	if !json.Valid([]byte(body)) {
		t.Errorf("not JSON: %s", body)
	}
	if _, _, body := ask(s, "GET", "/api/v2/metrics/prometheus"); strings.Count(body, "\nfluentbit_input_records_total{") != 5 {
		t.Errorf("not all are shown: %s", body)
	}
	if _, _, body := ask(s, "GET", "/api/v2/metrics"); strings.Count(body, "\n") != 5 {
		t.Errorf("not all are shown: %s", body)
	}
}

func TestPrometheus(t *testing.T) {
	r := &router{}
	r.set("fluentbit_input_records_total", 7, "name", "tail.0")
	r.set("fluentbit_process_start_time_seconds", 1795178051)
	r.set("kagari_dropped_events_total", 1, "name", "a", "reason", "x")
	r.metrics = append(r.metrics, plugin.Metric{Name: "kagari_dropped_events_total", Help: "Another text.", Value: 2,
		Labels: []plugin.Label{{Name: "name", Value: "b"}, {Name: "reason", Value: "x"}}})
	s := server(r, nil)
	status, typ, v2 := ask(s, "GET", "/api/v2/metrics/prometheus")
	if status != 200 || !strings.HasPrefix(typ, "text/plain; version=0.0.4") {
		t.Errorf("%d %s", status, typ)
	}
	for _, line := range []string{
		"# HELP fluentbit_input_records_total Help for fluentbit_input_records_total.",
		"# TYPE fluentbit_input_records_total counter",
		`fluentbit_input_records_total{name="tail.0"} 7`,
		`kagari_dropped_events_total{name="b",reason="x"} 2`,
		"fluentbit_process_start_time_seconds 1.795178051e+09",
	} {
		if !strings.Contains("\n"+v2, "\n"+line+"\n") {
			t.Errorf("no line %q in\n%s", line, v2)
		}
	}
	r.set("fluentbit_uptime", 6, "hostname", "vm")
	r.set("fluentbit_build_info", 1795178051, "hostname", "vm", "version", "v9.9.9", "os", "linux")
	_, _, v1 := ask(s, "GET", "/api/v1/metrics/prometheus")
	for _, line := range []string{"process_start_time_seconds 1.795178051e+09", "fluentbit_uptime 6", `fluentbit_build_info{edition="Community",version="v9.9.9"} 1`} {
		if !strings.Contains(v1, "\n"+line+"\n") {
			t.Errorf("the first version has no line %q:\n%s", line, v1)
		}
	}
}

func TestHistograms(t *testing.T) {
	r := &router{metrics: []plugin.Metric{{Name: "fluentbit_output_latency_seconds", Help: "End-to-end latency in seconds", Type: plugin.HistogramMetric,
		Labels: []plugin.Label{{Name: "input", Value: "a"}, {Name: "output", Value: "b"}}, Value: 5.129319429397583,
		Buckets: &plugin.Buckets{Bounds: []float64{0.5, 1, 30}, Counts: []uint64{8, 3, 0, 1}}}}}
	s := server(r, nil)
	_, _, text := ask(s, "GET", "/api/v2/metrics")
	if want := `fluentbit_output_latency_seconds{input="a",output="b"} = { buckets = { 0.5=8, 1=11, 30=11, +Inf=12 }, sum=5.12932, count=12 }`; !strings.HasSuffix(text, " "+want+"\n") {
		t.Errorf("got %s, want %s", text, want)
	}
	_, _, prom := ask(s, "GET", "/api/v2/metrics/prometheus")
	for _, line := range []string{
		"# TYPE fluentbit_output_latency_seconds histogram",
		`fluentbit_output_latency_seconds_bucket{input="a",output="b",le="1"} 11`,
		`fluentbit_output_latency_seconds_bucket{input="a",output="b",le="+Inf"} 12`,
		`fluentbit_output_latency_seconds_sum{input="a",output="b"} 5.129319429397583`,
		`fluentbit_output_latency_seconds_count{input="a",output="b"} 12`,
	} {
		if !strings.Contains("\n"+prom, "\n"+line+"\n") {
			t.Errorf("no line %q in\n%s", line, prom)
		}
	}
	if _, _, body := ask(s, "GET", "/api/v1/metrics"); !json.Valid([]byte(body)) {
		t.Errorf("not JSON: %s", body)
	}
}

func TestTextHasNumbersWithoutExponents(t *testing.T) {
	r := &router{}
	r.set("fluentbit_build_info", 1795178051)
	if _, _, text := ask(server(r, nil), "GET", "/api/v2/metrics"); !strings.HasSuffix(text, " fluentbit_build_info = 1795178051\n") {
		t.Errorf("got %s", text)
	}
}

// One number that cannot be shown must not hide the others.
func TestPrometheusWithAMetricGivenTwice(t *testing.T) {
	r := &router{}
	r.set("a_total", 1, "name", "x")
	r.metrics = append(r.metrics, r.metrics[0])
	r.set("b_total", 1)
	r.set("bad name", 1)
	status, _, body := ask(server(r, nil), "GET", "/api/v2/metrics/prometheus")
	if status != 200 || !strings.Contains(body, "\nb_total 1\n") || !strings.Contains(body, `a_total{name="x"} 1`) {
		t.Errorf("%d %s", status, body)
	}
}

func TestHealthLooksBackOnePeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &router{}
		h := newHealth(HealthOptions{Enabled: true, ErrorsCount: 2, RetryFailureCount: 2, Period: 10 * time.Second})
		var at time.Duration
		start := time.Now()
		step := func(errors, failed float64, want string) {
			t.Helper()
			at += time.Second
			r.set("fluentbit_output_errors_total", errors, "name", "x")
			r.set("fluentbit_output_retries_failed_total", failed, "name", "x")
			h.take(r, start.Add(at))
			if got := h.verdict(); got.Status != want {
				t.Errorf("after %v: %+v, want %s", at, got, want)
			}
		}
		step(100, 100, "ok") // What was before counts as nothing.
		step(102, 100, "ok") // As many as the limit are healthy.
		step(103, 100, "error")
		for range 8 {
			step(103, 100, "error")
		}
		step(103, 100, "ok") // The period is over.
		step(103, 103, "error")
		step(0, 0, "error") // A reload starts the counters again and forgives nothing.
		for range 8 {
			step(0, 0, "error")
		}
		step(0, 0, "ok")
		step(3, 0, "error") // And what comes after it counts.
	})
}

func TestHealthThatIsOffIsOk(t *testing.T) {
	h := newHealth(HealthOptions{Period: -1})
	r := &router{}
	h.take(r, time.Now())
	r.set("fluentbit_output_errors_total", 100, "name", "x")
	h.take(r, time.Now())
	if v := h.verdict(); v.Status != "ok" || v.PeriodLimit != 60 {
		t.Errorf("%+v", v)
	}
}

func TestUnhealthyAnswers500(t *testing.T) {
	r := &router{}
	s := server(r, nil)
	s.health.take(r, time.Now())
	r.set("fluentbit_output_errors_total", 6, "name", "x")
	s.health.take(r, time.Now())
	if status, _, body := ask(s, "GET", "/api/v1/health"); status != 500 || body != "error\n" {
		t.Errorf("%d %q", status, body)
	}
	if status, _, body := ask(s, "GET", "/api/v2/health"); status != 500 || !strings.Contains(body, `"status":"error","errors":6`) {
		t.Errorf("%d %q", status, body)
	}
}

func TestServerListensAndCloses(t *testing.T) {
	s := server(&router{}, func(o *Options) { o.Pprof = true })
	if err := s.Close(); err != nil {
		t.Errorf("closing before the start: %v", err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/api/v1/health", "/debug/pprof/", "/debug/pprof/goroutine?debug=1"} {
		resp, err := http.Get("http://" + s.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Errorf("GET %s: %s", path, resp.Status)
		}
	}
	taken := server(&router{}, func(o *Options) { _, o.Port, _ = strings.Cut(s.Addr().String(), ":") })
	if err := taken.Start(); err == nil || !strings.Contains(err.Error(), "HTTP server") {
		t.Errorf("a port that is taken: %v", err)
	}
	http.DefaultClient.CloseIdleConnections()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestHumanSize(t *testing.T) {
	for n, want := range map[float64]string{0: "0b", 84: "84b", 1023: "1023b", 1024: "1.0K", 1536: "1.5K", 100e6: "95.4M", 1 << 40: "1.0T"} {
		if got := humanSize(n); got != want {
			t.Errorf("humanSize(%v) = %s, want %s", n, got, want)
		}
	}
}
