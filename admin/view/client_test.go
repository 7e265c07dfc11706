package view

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagarilog/kagari/admin"
	"github.com/kagarilog/kagari/plugin"
)

// fluentBitMetrics is from a Fluent Bit 5.1.1.
const fluentBitMetrics = `# HELP fluentbit_uptime Number of seconds that Fluent Bit has been running.
# TYPE fluentbit_uptime counter
fluentbit_uptime{hostname="vm"} 4
fluentbit_hot_reloaded_times{hostname="vm"} 0
fluentbit_logger_queue_dropped_total 0
fluentbit_input_bytes_total{name="dummy.0"} 4424
fluentbit_input_bytes_total{name="fast"} 8316 1795178051000
fluentbit_input_records_total{name="dummy.0"} 158
fluentbit_input_records_total{name="fast"} 297
fluentbit_input_ingestion_paused{name="fast"} 1
fluentbit_filter_drop_records_total{name="grep.0"} 150
fluentbit_filter_records_total{name="grep.0"} 158
fluentbit_output_proc_records_total{name="http.0"} 8
fluentbit_output_proc_bytes_total{name="http.0"} 256
fluentbit_output_retries_total{name="http.0"} 3
fluentbit_routing_logs_drop_records_total{input="dummy.0",output="unmatched"} 19
fluentbit_storage_mem_chunks 2
`

type router struct{}

func (router) Metrics() []plugin.Metric {
	return []plugin.Metric{{Name: "fluentbit_input_records_total", Value: 3, Labels: []plugin.Label{{Name: "name", Value: "tail.0"}}}}
}
func (router) Uptime() time.Duration { return time.Minute }
func (router) Reload() error         { return nil }
func (router) Reloads() int          { return 0 }
func (router) States() (plugin.Phase, []plugin.State) {
	return plugin.PhaseRunning, []plugin.State{{Kind: plugin.KindInput, Name: "tail.0", Plugin: "tail", Condition: plugin.ConditionRunning}}
}

func ask(t *testing.T, address string) (*admin.Status, error) {
	t.Helper()
	c, err := NewClient(address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.Status(t.Context())
}

func TestStatusOfARouter(t *testing.T) {
	s := admin.New(router{}, admin.Options{Listen: "127.0.0.1", Port: "0", Version: "v9", Plugins: plugin.NewRegistry(), Log: slog.New(slog.DiscardHandler)})
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for _, address := range []string{"http://" + s.Addr().String(), s.Addr().String(), s.Addr().String() + "/"} {
		st, err := ask(t, address)
		if err != nil {
			t.Fatal(err)
		}
		want := []admin.Input{{Name: "tail.0", Plugin: "tail", Condition: plugin.ConditionRunning, Records: 3}}
		if diff := cmp.Diff(want, st.Inputs); diff != "" || st.Software != "kagari" || st.Version != "v9" || st.Uptime != 60 {
			t.Errorf("%+v\n%s", st, diff)
		}
	}
}

func TestStatusOfAFluentBit(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			_, _ = w.Write([]byte(`{"fluent-bit":{"version":"5.1.1","edition":"Community","flags":["FLB_HAVE_TLS"]}}`))
		case "/api/v2/metrics/prometheus":
			_, _ = w.Write([]byte(fluentBitMetrics))
		case "/api/v1/health":
			w.WriteHeader(http.StatusInternalServerError)
		default:
			http.NotFound(w, r)
		}
	}))
	defer s.Close()
	st, err := ask(t, s.URL)
	if err != nil {
		t.Fatal(err)
	}
	if st.Software != "Fluent Bit" || st.Version != "5.1.1" || st.Health != "error" || st.Uptime != 4 || st.Phase != "" {
		t.Errorf("%+v", st)
	}
	if diff := cmp.Diff([]admin.Input{{Name: "dummy.0", Records: 158, Bytes: 4424}, {Name: "fast", Records: 297, Bytes: 8316, Paused: true}}, st.Inputs); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]admin.Loss{{Name: "dummy.0", What: "dropped", Reason: "no_output_matches", Count: 19}}, st.Losses); diff != "" {
		t.Error(diff)
	}
}

// dead returns an address at which nothing listens.
func dead(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// answering listens and answers every connection with the same.
func answering(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 4096)
			_, _ = conn.Read(buf)
			_, _ = conn.Write([]byte(answer))
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return l.Addr().String()
}

func TestErrorsSayWhatToDo(t *testing.T) {
	f := func(address string, want ...string) {
		t.Helper()
		st, err := ask(t, address)
		if err == nil {
			t.Fatalf("%s: %+v", address, st)
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: no %q in\n%v", address, w, err)
			}
		}
	}
	f(dead(t), "no router answers", "nothing listens there", "HTTP_Server  On", "http_server: on", "--http --port 2020", "kagari status --url")
	f(answering(t, "\x92\xa4HELO"), "does not speak HTTP", "port of an input", "http_port")
	f(answering(t, ""), "does not speak HTTP")
	f("https://"+answering(t, "HTTP/1.0 400 Bad Request\r\n\r\n"), "without TLS: write http://")
	f("nosuchhost.invalid:2020", "is not known")
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	f(web.URL, "not the admin API of a router", "404 Not Found", "http_port")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c, err := NewClient(web.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Status(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestAddresses(t *testing.T) {
	for in, want := range map[string]string{
		"127.0.0.1": "http://127.0.0.1:2020", "host:99": "http://host:99", "http://host": "http://host:2020", "[::1]": "http://[::1]:2020", "::1": "",
		"https://host": "https://host", "http://host/prefix/": "http://host/prefix", "ftp://x": "", "http://": "", "": "", "http://h?x=1": "", "http://a b": "",
		"http://u:p@h:1": "http://u:xxxxx@h:1",
	} {
		c, err := NewClient(in)
		got := ""
		if err == nil {
			got = c.Address()
			c.Close()
		}
		if got != want {
			t.Errorf("%q is %q (%v), want %q", in, got, err, want)
		}
	}
}

func FuzzMetrics(f *testing.F) {
	f.Add(fluentBitMetrics)
	f.Add(`a{b="c\"\\\n",d=""} 1e3 5` + "\n" + `a{b="` + "\n{} 1\na{b=\"c\"}\na NaN\n")
	f.Fuzz(func(_ *testing.T, text string) {
		admin.NewStatus(unroutedAsLoss(parseMetrics(text)), nil)
	})
}

func TestMetricsAreReadWithTheirEscapes(t *testing.T) {
	got := parseMetrics("a{b=\"c\\\"\\\\\\n}\",d=\"\"} 1e3 5\nbad{b=\"\nx -1\ny NaN\nz\n w 2\n")
	want := []plugin.Metric{{Name: "a", Value: 1000, Labels: []plugin.Label{{Name: "b", Value: "c\"\\\n}"}, {Name: "d"}}}, {Name: "w", Value: 2}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
