package http

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/httpx"
	"github.com/kagarilog/kagari/internal/netx/netxtest"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

// request is what a server got.
type request struct {
	*http.Request
	body string // decoded
}

// server records requests and answers them as told.
type server struct {
	*httptest.Server
	mu       sync.Mutex
	requests []request
	answer   func(w http.ResponseWriter, r request)
}

func newServer(t testing.TB, answer func(w http.ResponseWriter, r request)) *server {
	t.Helper()
	s := &server{answer: answer}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var body bytes.Buffer
	if err := httpx.Decode(&body, raw, r.Header.Get("Content-Encoding"), 1<<30); err != nil {
		w.WriteHeader(599)
		return
	}
	req := request{r, body.String()}
	s.mu.Lock()
	s.requests = append(s.requests, req)
	s.mu.Unlock()
	if s.answer != nil {
		s.answer(w, req)
	}
}

// props point the output at the server.
func (s *server) props(more ...string) []string {
	host, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	return append([]string{"host", host, "port", port}, more...)
}

func (s *server) got() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

func (s *server) bodies() string {
	var all []string
	for _, r := range s.got() {
		all = append(all, r.body)
	}
	return strings.Join(all, "\n")
}

// output makes an output for the server.
func (s *server) output(t testing.TB, more ...string) plugin.Output {
	t.Helper()
	return plugintest.NewOutput(t, Def(), plugintest.Env(t), s.props(more...)...)
}

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def()) }

func TestContract(t *testing.T) {
	for name, more := range map[string][]string{
		"json":  {"compress", "gzip"},
		"lines": {"format", "json_lines", "compress", "zstd"},
	} {
		t.Run(name, func(t *testing.T) {
			plugintest.Output(t, plugintest.OutputSuite{
				Def:        Def(),
				Behaviours: []plugintest.Behaviour{plugintest.Transient, plugintest.Permanent, plugintest.Slow},
				Open: func(t *testing.T, b plugintest.Behaviour) plugintest.Destination {
					var mu sync.Mutex
					var taken strings.Builder
					failed := false
					hang := make(chan struct{})
					s := newServer(t, func(w http.ResponseWriter, r request) {
						mu.Lock()
						defer mu.Unlock()
						switch {
						case b == plugintest.Transient && !failed:
							failed = true
							w.WriteHeader(503)
							return
						case b == plugintest.Permanent:
							w.WriteHeader(400)
							return
						case b == plugintest.Slow:
							select {
							case <-hang:
							case <-r.Context().Done():
							}
							return
						}
						taken.WriteString(r.body)
					})
					t.Cleanup(func() { close(hang) })
					return plugintest.Destination{Props: s.props(more...), Delivered: func() string {
						mu.Lock()
						defer mu.Unlock()
						return taken.String()
					}}
				},
			})
		})
	}
}

func TestContractOfRequestsForEachRecord(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, r request) {
		if strings.Contains(r.body, "busy") {
			w.WriteHeader(503)
		}
		if strings.Contains(r.body, "bad") {
			w.WriteHeader(400)
		}
	})
	out := s.output(t, "body_key", "$b", "headers_key", "$h", "compress", "gzip", "header", "X-All a b", "http_user", "u")
	c := plugintest.Chunk(t, "t",
		`{"b":"one","h":{"X-From":"r1","x-n":5,"bad name":"x","X-Line":"a\nb"}}`,
		`{"b":"busy","h":{}}`,
		`{"b":"bad","h":{}}`,
		`{"other":"no body"}`,
		`{"b":7,"h":{}}`,
		`{"b":"no headers"}`,
		`{"b":"last","h":{"Content-Type":"text/x"}}`)
	defer c.Release()
	err := out.Send(t.Context(), c)
	var part *plugin.PartialError
	if !errors.As(err, &part) || !slices.Equal(part.Retry, []int{1}) || !slices.Equal(part.Rejected, []int{2, 3, 4, 5}) {
		t.Fatalf("got %v", err)
	}
	got := s.got()
	if len(got) != 4 || got[0].body != "one" || got[3].body != "last" {
		t.Fatalf("the server got %q", s.bodies())
	}
	h := got[0].Header
	if h.Get("X-From") != "r1" || h.Get("X-N") != "" || h.Get("X-All") != "a b" || h.Get("X-Line") != "a b" || h.Get("Authorization") != "Basic dTo=" || h.Get("Content-Type") != "" {
		t.Errorf("the first request had the header %v", h)
	}
	if ct := got[3].Header.Get("Content-Type"); ct != "text/x" {
		t.Errorf("the last request had Content-Type %q", ct)
	}

	s.Close() // now nothing answers: all is sent again, after one attempt
	if err := out.Send(t.Context(), c.Select([]int{0, 1})); err == nil || errors.As(err, &part) {
		t.Errorf("got %v, want an error that is for the whole chunk", err)
	}
}

func TestRequests(t *testing.T) {
	f := func(check func(t *testing.T, r request), kv ...string) {
		t.Helper()
		s := newServer(t, nil)
		out := s.output(t, kv...)
		c := plugintest.Chunk(t, "app.t", `{"log":"a"}`, `{"log":"b"}`)
		defer c.Release()
		if err := out.Send(t.Context(), c); err != nil {
			t.Fatalf("%q: %v", kv, err)
		}
		got := s.got()
		if len(got) != 1 {
			t.Fatalf("%q: %d requests", kv, len(got))
		}
		check(t, got[0])
	}
	expect := func(method, uri, body string, header ...string) func(*testing.T, request) {
		return func(t *testing.T, r request) {
			t.Helper()
			if r.Method != method || r.RequestURI != uri || r.body != body {
				t.Errorf("got %s %s\n%s\nwant %s %s\n%s", r.Method, r.RequestURI, r.body, method, uri, body)
			}
			for i := 0; i < len(header); i += 2 {
				if v := strings.Join(r.Header.Values(header[i]), "|"); v != header[i+1] {
					t.Errorf("header %s is %q, want %q", header[i], v, header[i+1])
				}
			}
		}
	}
	f(expect("POST", "/", `[{"date":1700000000.25,"log":"a"},{"date":1700000001.25,"log":"b"}]`,
		"Content-Type", "application/json", "User-Agent", "Fluent-Bit", "Content-Encoding", "", "Authorization", ""))
	f(expect("PUT", "/in?x=1", "{\"@t\":\"2023-11-14T22:13:20.250000Z\",\"log\":\"a\"}\n{\"@t\":\"2023-11-14T22:13:21.250000Z\",\"log\":\"b\"}\n",
		"Content-Type", "application/x-ndjson", "Content-Encoding", "gzip", "X-A", "a b c", "Authorization", "Bearer zz"),
		"uri", "in?x=1", "http_method", "put", "format", "json_lines", "json_date_key", "@t", "json_date_format", "iso8601",
		"compress", "gzip", "header", "X-A a b c", "header", "Authorization Bearer zz")
	f(expect("POST", "/", `{"log":"a"}{"log":"b"}`, "X-Tag", "app.t", "Authorization", "Basic dTpwIHc=", "Content-Encoding", "snappy"),
		"format", "json_stream", "json_date_key", "false", "http_user", "u", "http_passwd", "p w", "header_tag", "X-Tag", "compress", "snappy")
	f(expect("POST", "/", `[{"date":1700000000,"log":"a"},{"date":1700000001,"log":"b"}]`,
		"Content-Type", "application/json|text/plain", "User-Agent", "me"),
		"json_date_format", "epoch", "header", "Content-Type text/plain", "header", "User-Agent me", "compress", "zstd")
	f(expect("POST", "/", `[{"date":1700000000,"log":"a"},{"date":1700000001,"log":"b"}]`, "Content-Type", "text/plain"),
		"json_date_format", "epoch", "header", "content-type text/plain", "allow_duplicated_headers", "off")
	f(expect("POST", "/", "{\"version\":\"1.1\", \"short_message\":\"a\", \"timestamp\":1700000000.250}\n{\"version\":\"1.1\", \"short_message\":\"b\", \"timestamp\":1700000001.250}\n",
		"Content-Type", "application/json"), "format", "gelf", "gelf_short_message_key", "log")
	f(func(t *testing.T, r request) {
		c := plugintest.Chunk(t, "app.t", `{"log":"a"}`, `{"log":"b"}`)
		defer c.Release()
		if r.body != string(c.Bytes()) || r.Header.Get("Content-Type") != "application/msgpack" {
			t.Errorf("got %s, %q", r.Header.Get("Content-Type"), r.body)
		}
	}, "format", "msgpack")
	f(func(t *testing.T, r request) {
		if r.Host != "logs.example" {
			t.Errorf("host is %s", r.Host)
		}
	}, "header", "Host logs.example")
}

func TestAnswers(t *testing.T) {
	f := func(status int, outcome string, header ...string) {
		t.Helper()
		s := newServer(t, func(w http.ResponseWriter, r request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(status)
			if status != 204 && status != 304 {
				fmt.Fprint(w, "the reason")
			}
		})
		err := s.output(t).Send(t.Context(), plugintest.Chunk(t, "t", `{"a":1}`))
		var never *plugin.PermanentError
		var later *plugin.RetryAfterError
		got := "retry"
		switch {
		case err == nil:
			got = "ok"
		case errors.As(err, &never):
			got = "never"
		case errors.As(err, &later):
			got = later.After.String()
		}
		if got != outcome {
			t.Errorf("%d: got %s (%v), want %s", status, got, err, outcome)
		}
		if err != nil && status != 304 && !strings.Contains(err.Error(), "the reason") {
			t.Errorf("%d: the error %v does not say why", status, err)
		}
	}
	for _, s := range []int{200, 201, 202, 203, 204, 205} {
		f(s, "ok")
	}
	for _, s := range []int{206, 302, 304, 408, 429, 500, 502, 503, 599} {
		f(s, "retry")
	}
	for _, s := range []int{400, 401, 403, 404, 410, 413, 422} {
		f(s, "never")
	}
	f(429, "7s", "Retry-After", "7")
	f(503, "7s", "Retry-After", "7")
	f(400, "never", "Retry-After", "7")
}

func TestAnswersAreNotLoggedOnDemand(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, r request) { w.WriteHeader(500); fmt.Fprint(w, "secret") })
	err := s.output(t, "log_response_payload", "off").Send(t.Context(), plugintest.Chunk(t, "t", `{"a":1}`))
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
}

func TestATooLargeChunkIsDivided(t *testing.T) {
	f := func(limit int, records []string, retry, rejected []int) {
		t.Helper()
		s := newServer(t, func(w http.ResponseWriter, r request) {
			switch {
			case len(r.body) > limit:
				w.WriteHeader(413)
			case strings.Contains(r.body, "busy"):
				w.WriteHeader(503)
			case strings.Contains(r.body, "bad"):
				w.WriteHeader(400)
			}
		})
		c := plugintest.Chunk(t, "t", records...)
		defer c.Release()
		err := s.output(t, "format", "json_lines", "json_date_key", "off").Send(t.Context(), c)
		var part *plugin.PartialError
		switch {
		case retry == nil && rejected == nil:
			if err != nil {
				t.Errorf("limit %d: %v", limit, err)
			}
		case !errors.As(err, &part) || !slices.Equal(part.Retry, retry) || !slices.Equal(part.Rejected, rejected):
			t.Errorf("limit %d: got %v, want retry %v, rejected %v", limit, err, retry, rejected)
		}
	}
	six := []string{`{"a":"00"}`, `{"a":"11"}`, `{"a":"22"}`, `{"a":"33"}`, `{"a":"44"}`, `{"a":"55"}`}
	f(70, six, nil, nil)
	f(40, six, nil, nil)
	f(11, six, nil, nil)
	long := slices.Clone(six)
	long[4] = `{"a":"too long whatever is done"}`
	f(25, long, nil, []int{4})
	mixed := slices.Clone(six)
	mixed[1], mixed[5] = `{"a":"busy"}`, `{"a":"bad"}`
	f(13, mixed, []int{1}, []int{5})

	s := newServer(t, func(w http.ResponseWriter, r request) { w.WriteHeader(413) })
	c := plugintest.Chunk(t, "t", six...)
	defer c.Release()
	var never *plugin.PermanentError
	if err := s.output(t).Send(t.Context(), c); !errors.As(err, &never) {
		t.Errorf("got %v, want a permanent error", err)
	}
}

func TestGELFRejectsSingleRecords(t *testing.T) {
	s := newServer(t, nil)
	out := s.output(t, "format", "gelf")
	c := plugintest.Chunk(t, "t", `{"a":1}`, `{"short_message":"x"}`)
	defer c.Release()
	var part *plugin.PartialError
	if err := out.Send(t.Context(), c); !errors.As(err, &part) || !slices.Equal(part.Rejected, []int{0}) || len(part.Retry) != 0 {
		t.Errorf("got %v", err)
	}
	var never *plugin.PermanentError
	if err := out.Send(t.Context(), c.Select([]int{0})); !errors.As(err, &never) {
		t.Errorf("got %v", err)
	}
	if n := len(s.got()); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

func TestTagsCannotForgeHeaders(t *testing.T) {
	s := newServer(t, nil)
	c := plugintest.Chunk(t, "a\r\nX-Evil: 1", `{"a":1}`)
	defer c.Release()
	if err := s.output(t, "header_tag", "X-Tag").Send(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if h := s.got()[0].Header; h.Get("X-Evil") != "" || h.Get("X-Tag") != "a  X-Evil: 1" {
		t.Errorf("got %v", h)
	}
}

func TestUnixSocketAndTLS(t *testing.T) {
	ca := netxtest.NewCA(t)
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{}
	s.Server = httptest.NewUnstartedServer(s)
	s.Listener.Close()
	s.Listener = l
	s.Start()
	defer s.Close()
	out := plugintest.NewOutput(t, Def(), plugintest.Env(t), "unix_path", path, "host", "logs")
	if err := out.Send(t.Context(), plugintest.Chunk(t, "t", `{"a":1}`)); err != nil {
		t.Error(err)
	}

	secure := &server{}
	secure.Server = httptest.NewUnstartedServer(secure)
	secure.TLS = ca.Server()
	secure.StartTLS()
	defer secure.Close()
	if err := secure.output(t, "tls", "on", "tls.ca_file", ca.File).Send(t.Context(), plugintest.Chunk(t, "t", `{"a":1}`)); err != nil {
		t.Error(err)
	}
	err = secure.output(t, "tls", "on").Send(t.Context(), plugintest.Chunk(t, "t", `{"a":1}`))
	if err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("an unknown CA: %v", err)
	}
	bad, err := plugintest.TryOutput(Def(), plugintest.Env(t), "tls", "on", "tls.ca_file", "/nowhere")
	if err != nil {
		t.Fatal(err)
	}
	if err := bad.(plugin.Starter).Start(t.Context()); err == nil {
		t.Error("a missing CA file does not stop the start")
	}
}

func TestOAuth2(t *testing.T) {
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"access_token":"tok","token_type":"Bearer","expires_in":3600}`)
	}))
	defer tokens.Close()
	s := newServer(t, nil)
	out := s.output(t, "oauth2.enable", "on", "oauth2.token_url", tokens.URL, "oauth2.client_id", "me", "oauth2.client_secret", "x", "http_user", "u")
	if err := out.Send(t.Context(), plugintest.Chunk(t, "t", `{"a":1}`)); err != nil {
		t.Fatal(err)
	}
	if got := s.got()[0].Header.Values("Authorization"); len(got) != 1 || got[0] != "Bearer tok" {
		t.Errorf("got %q", got)
	}
}

func TestBadOptions(t *testing.T) {
	f := func(want string, kv ...string) {
		t.Helper()
		_, err := plugintest.TryOutput(Def(), plugintest.Env(t), kv...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", kv, err, want)
		}
	}
	f("need each other", "body_key", "$a")
	f("need each other", "headers_key", "$a")
	f("gzip, snappy, zstd", "compress", "lz4")
	f("POST, PUT", "http_method", "GET")
	f("at least 2", "header", "alone")
	f("no name of a header", "header", "a:b c")
	f("no name of a header", "header_tag", "X Tag")
	f("not of the form", "proxy", "nonsense")
	f("oauth2.token_url", "oauth2.enable", "on")
	f("tls.crt_file", "tls", "on", "tls.key_file", "k")
	f(`"uri"`, "uri", "/%zz")
}

func TestAConnectionDroppedWithoutAnAnswerIsRetried(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 1024))
			c.Close()
		}
	}()
	host, port, _ := net.SplitHostPort(l.Addr().String())
	out := plugintest.NewOutput(t, Def(), plugintest.Env(t), "host", host, "port", port)
	var never *plugin.PermanentError
	if err := out.Send(t.Context(), plugintest.Chunk(t, "t", `{"a":1}`)); err == nil || errors.As(err, &never) {
		t.Errorf("got %v", err)
	}
}

// accessLog is a chunk of about 2 MB.
func accessLog(t testing.TB) *event.Chunk {
	records := make([]string, 7000)
	for i := range records {
		records[i] = fmt.Sprintf(`{"level":"info","ts":"2023-11-14T22:13:20.%03dZ","msg":"request handled in %d ms","method":"GET","path":"/api/v1/users/%d","status":200,"bytes":%d,"remote":"10.1.2.%d","request_id":"%016x","user_agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"}`,
			i%1000, i%900, i%10000, i*37%100000, i%256, uint64(i)*0x9E3779B97F4A7C15)
	}
	return plugintest.Chunk(t, "t", records...)
}

func TestSendDoesNotAllocateForEachRecord(t *testing.T) {
	s := newServer(t, nil)
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	out := s.output(t, "compress", "gzip")
	c := accessLog(t)
	defer c.Release()
	n := testing.AllocsPerRun(10, func() {
		if err := out.Send(t.Context(), c); err != nil {
			t.Error(err)
		}
	})
	if n > 400 { // of client and server, for 7000 records
		t.Errorf("%v allocations for a chunk", n)
	}
}

func BenchmarkSend(b *testing.B) {
	s := newServer(b, nil)
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	c := accessLog(b)
	defer c.Release()
	for _, compress := range []string{"gzip", "zstd", "snappy"} {
		b.Run("compress="+compress, func(b *testing.B) {
			out := s.output(b, "compress", compress)
			b.ReportAllocs()
			start := time.Now()
			for b.Loop() {
				if err := out.Send(b.Context(), c); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(time.Since(start).Nanoseconds())/float64(b.N)/float64(c.Count), "ns/record")
		})
	}
}
