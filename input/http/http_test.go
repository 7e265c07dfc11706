package http

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kagarilog/kagari/internal/httpx"
	"github.com/kagarilog/kagari/internal/netx/netxtest"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

// running is an input under test with its emitter.
type running struct {
	t    *testing.T
	url  string
	env  *plugin.Env
	em   *plugintest.Emitter
	http *http.Client
}

// freePort returns a port that nobody listens on.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

func start(t *testing.T, kv ...string) *running {
	t.Helper()
	plugintest.NoLeaks(t)
	r := &running{t: t, env: plugintest.Env(t), em: &plugintest.Emitter{}}
	port := freePort(t)
	r.url = "http://127.0.0.1:" + port
	in := plugintest.NewInput(t, Def(), r.env, append([]string{"listen", "127.0.0.1", "port", port}, kv...)...)
	plugintest.Run(t, in, r.em)
	tr := &http.Transport{}
	r.http = &http.Client{Transport: tr, Timeout: plugintest.Patience}
	t.Cleanup(tr.CloseIdleConnections)
	return r
}

// post sends a body and returns the answer.
func (r *running) post(path, body string, header ...string) (status int, text string, h http.Header) {
	r.t.Helper()
	return r.do("POST", path, strings.NewReader(body), append([]string{"Content-Type", "application/json"}, header...)...)
}

func (r *running) do(method, path string, body io.Reader, header ...string) (status int, text string, h http.Header) {
	r.t.Helper()
	req, err := http.NewRequest(method, r.url+path, body)
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	if req.Header.Get("Content-Type") == "" {
		req.Header.Del("Content-Type")
	}
	resp, err := r.http.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Header
}

// events returns what was emitted, one "tag: record" on a line.
func (r *running) events() string {
	var lines []string
	for _, e := range r.em.Events() {
		lines = append(lines, e.String())
	}
	return strings.Join(lines, "\n")
}

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def(), "port", freePort(t)) }

func TestContract(t *testing.T) {
	plugintest.Input(t, plugintest.InputSuite{
		Def: Def(),
		Open: func(t *testing.T) plugintest.Source {
			port := freePort(t)
			return plugintest.Source{
				Props: []string{"listen", "127.0.0.1", "port", port, "http_server.busy_timeout", "1s"},
				Feed: func(t *testing.T) {
					var wg sync.WaitGroup
					t.Cleanup(wg.Wait)
					wg.Go(func() {
						tr := &http.Transport{DisableKeepAlives: true}
						for range 200 { // until the second listener is there
							resp, err := (&http.Client{Transport: tr}).Post("http://127.0.0.1:"+port, "application/json", strings.NewReader(`{"a":1}`))
							if err == nil {
								resp.Body.Close()
								return
							}
							time.Sleep(10 * time.Millisecond)
						}
					})
				},
			}
		},
	})
}

func TestBodies(t *testing.T) {
	f := func(body string, status int, want ...string) {
		t.Helper()
		r := start(t)
		got, text, _ := r.post("/", body)
		if events := r.events(); got != status || events != strings.Join(want, "\n") {
			t.Errorf("%s: got %d %s and\n%s\nwant %d and\n%s", body, got, text, events, status, strings.Join(want, "\n"))
		}
		if status == 400 && !strings.HasPrefix(text, "error: ") {
			t.Errorf("%s: the answer %q gives no reason", body, text)
		}
	}
	const tag = "test.0: "
	f(`{"a":1}`, 201, tag+`{"a":1}`)
	f(`[{"a":1},{"b":[1,2.5,null]}]`, 201, tag+`{"a":1}`, tag+`{"b":[1,2.5,null]}`)
	f(`{"a":1}{"b":2}`, 201, tag+`{"a":1}`, tag+`{"b":2}`)
	f("{\"a\":1}\n{\"b\":2}\r\n\n", 201, tag+`{"a":1}`, tag+`{"b":2}`)
	f(`{"a":1},{"b":2},`, 201, tag+`{"a":1}`, tag+`{"b":2}`)
	f(`{"c":1}[{"a":1}]{"b":2}`, 201, tag+`{"c":1}`, tag+`{"a":1}`, tag+`{"b":2}`)
	f(`[{"a":1},5,{"b":2},[{}]]`, 201, tag+`{"a":1}`, tag+`{"b":2}`)
	f(`[]`, 201)
	f(`{}`, 201, tag+`{}`)
	f(`{"a":1,"a":2,"k":"\ud800x"}`, 201, tag+"{\"a\":2,\"k\":\"\uFFFDx\"}")
	f(`{"bad":`, 400)
	f(`"text"`, 400)
	f(`{"a":1}"text"`, 400, tag+`{"a":1}`)
	f(`{"a":1}{"b":`, 201, tag+`{"a":1}`)
	f(`{"a":1} x`, 400)
	f(`   `, 400)
	f(``, 400)
	f(strings.Repeat("[", 100_000), 400)
}

func TestRefusalsAreCounted(t *testing.T) {
	f := func(reason string, status int, do func(r *running) int) {
		t.Helper()
		r := start(t, "buffer_max_size", "1000", "http_server.body_max_size", "1000")
		if got := do(r); got != status {
			t.Errorf("%s: got %d, want %d", reason, got, status)
		}
		if n := plugintest.Rejected(r.env, reason); n != 1 {
			t.Errorf("%s: counted %d times; all: %v", reason, n, plugintest.Counters(r.env))
		}
		if e := r.events(); status >= 400 && e != "" {
			t.Errorf("%s: taken all the same: %s", reason, e)
		}
	}
	post := func(body string, header ...string) func(r *running) int {
		return func(r *running) int { s, _, _ := r.post("/", body, header...); return s }
	}
	f("malformed_json", 400, post(`{"a"}`))
	f("not_an_object", 400, post(`"x"`))
	f("not_an_object", 201, post(`[1]`))
	f("incomplete_json", 201, post(`{}{"a`))
	f("empty_body", 400, post(``))
	f("no_content_type", 400, post(`{}`, "Content-Type", ""))
	f("bad_content_type", 400, post(`{}`, "Content-Type", "application/jsonx"))
	f("malformed_compression", 400, post("\x1f\x8bnonsense", "Content-Encoding", "gzip"))
	f("body_too_large", 413, post(strings.Repeat(" ", 1001)))
	f("malformed_form", 400, post(`abc&=d`, "Content-Type", "application/x-www-form-urlencoded"))
	f("bad_method", 400, func(r *running) int { s, _, _ := r.do("GET", "/health", nil); return s })
	f("bad_method", 400, func(r *running) int {
		s, _, _ := r.do("PUT", "/", strings.NewReader("{}"), "Content-Type", typeJSON)
		return s
	})
	f("body_too_large", 413, func(r *running) int {
		b := httpx.NewBody(httpx.Gzip)
		defer b.Free()
		_, _ = b.Write(make([]byte, 100_000))
		s, _, _ := r.do("POST", "/", bytes.NewReader(bytes.Clone(b.Bytes())), "Content-Type", typeJSON, "Content-Encoding", "gzip")
		return s
	})
}

func TestTags(t *testing.T) {
	f := func(path, body, want string, kv ...string) {
		t.Helper()
		r := start(t, kv...)
		if s, text, _ := r.post(path, body); s != 201 {
			t.Fatalf("%s: %d %s", path, s, text)
		}
		if got := r.events(); got != want {
			t.Errorf("%s with %q: got\n%s\nwant\n%s", path, kv, got, want)
		}
	}
	f("/app.log", `{}`, `app.log: {}`)
	f("/x/y-z?q=1", `[{},{}]`, "x_y_z: {}\nx_y_z: {}")
	f("/a%20b", `{}`, `a_20b: {}`)
	f("/?x", `{}`, `test.0: {}`)
	f("/from.path", `{"a":1}`, `from.path: {"a":1}`, "tag_key", "kind")
	f("/p", `[{"kind":"a/b"},{"kind":5},{"kind":""},{"kind":"a/b","z":0}]`,
		"p: {\"kind\":5}\np: {\"kind\":\"\"}\na_b: {\"kind\":\"a/b\"}\na_b: {\"kind\":\"a/b\",\"z\":0}", "tag_key", "kind")
	f("/p", `{"k":{"x":"deep"}}`, `deep: {"k":{"x":"deep"}}`, "tag_key", "$k['x']")

	r := start(t)
	r.env.Tag = "fixed" // too late to change anything
	in := plugintest.Env(t)
	in.Tag = "fixed"
	port := freePort(t)
	p := plugintest.NewInput(t, Def(), in, "listen", "127.0.0.1", "port", port)
	em := &plugintest.Emitter{}
	plugintest.Run(t, p, em)
	r.url = "http://127.0.0.1:" + port
	r.post("/", `{}`)
	if got := em.Wait(t, 1)[0].Tag; got != "fixed" {
		t.Errorf("got the tag %s", got)
	}
}

func TestForms(t *testing.T) {
	r := start(t)
	long := strings.Repeat("x%20", 1000)
	s, text, _ := r.post("/f", "a=1&b=x%20y+z&c=%zz&=q&d&e=&\ng=%C3%a4&l="+long, "Content-Type", "Application/X-www-form-urlencoded; charset=utf-8")
	want := `f: {"a":"1","b":"x y z","c":"%zz","e":"","g":"ä","l":"` + strings.Repeat("x ", 1000) + `"}`
	if got := r.events(); s != 201 || got != want {
		t.Errorf("got %d %s\n%s\nwant\n%s", s, text, got, want)
	}
}

func TestAddedFields(t *testing.T) {
	f := func(body, want string, kv ...string) {
		t.Helper()
		r := start(t, kv...)
		r.http.Transport.(*http.Transport).DisableCompression = true
		r.post("/", body, "X-Forwarded-For", " 1.2.3.4 , 5.6.7.8", "User-Agent", "me", "Authorization", "secret", "Cookie", "secret")
		if got := r.events(); got != strings.ReplaceAll(want, "<host>", strings.TrimPrefix(r.url, "http://")) {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
	f(`[{"a":1},{"REMOTE_ADDR":"own"}]`, "test.0: {\"a\":1,\"REMOTE_ADDR\":\"1.2.3.4\"}\ntest.0: {\"REMOTE_ADDR\":\"own\"}", "add_remote_addr", "on")
	f(`{"a":1}`, `test.0: {"a":1,"ip":"1.2.3.4"}`, "add_remote_addr", "on", "remote_addr_key", "ip")
	f(`{"a":1}`, `test.0: {"a":1}`)
	f(`{"a":1}`, `test.0: {"a":1,"HTTP_HOST":"<host>","HTTP_CONTENT_LENGTH":"7","HTTP_CONTENT_TYPE":"application/json","HTTP_USER_AGENT":"me","HTTP_X_FORWARDED_FOR":"1.2.3.4 , 5.6.7.8"}`, "add_http_headers", "on")

	r := start(t, "add_remote_addr", "on")
	r.post("/", `{"a":1}`)
	if got := r.events(); got != `test.0: {"a":1}` {
		t.Errorf("without the header: got %s", got)
	}
}

func TestSuccessAnswers(t *testing.T) {
	f := func(status int, kv ...string) {
		t.Helper()
		r := start(t, append(kv, "success_header", "X-A b c", "success_header", "X-B d")...)
		s, text, h := r.post("/", `{}`)
		if s != status || text != "" || h.Get("X-A") != "b c" || h.Get("X-B") != "d" {
			t.Errorf("got %d %q %v, want %d", s, text, h, status)
		}
		if _, _, h = r.post("/", `x`); h.Get("X-A") != "" {
			t.Error("a refusal has the header of success")
		}
	}
	f(201)
	f(200, "successful_response_code", "200")
	f(204, "successful_response_code", "204")
	f(201, "successful_response_code", "299")
}

func TestHealth(t *testing.T) {
	r := start(t, "enable_health_endpoint", "on")
	if s, text, _ := r.do("GET", "/health", nil); s != 200 || !strings.Contains(text, `"status": "ok"`) {
		t.Errorf("got %d %s", s, text)
	}
}

func TestCompressedBodiesAndHTTP2(t *testing.T) {
	r := start(t)
	for _, e := range []httpx.Encoding{httpx.Gzip, httpx.Zstd, httpx.Snappy, httpx.Deflate} {
		b := httpx.NewBody(e)
		fmt.Fprintf(b, `{"e":%q}`, e)
		if s, text, _ := r.do("POST", "/", bytes.NewReader(bytes.Clone(b.Bytes())), "Content-Type", typeJSON, "Content-Encoding", string(e)); s != 201 {
			t.Errorf("%s: %d %s", e, s, text)
		}
		b.Free()
	}
	// What only claims to be compressed is taken as it is, as Fluent Bit does.
	if s, text, _ := r.post("/", `{"e":"plain"}`, "Content-Encoding", "gzip"); s != 201 {
		t.Errorf("plain: %d %s", s, text)
	}
	tr := &http.Transport{Protocols: &http.Protocols{}}
	tr.Protocols.SetUnencryptedHTTP2(true)
	defer tr.CloseIdleConnections()
	r.http = &http.Client{Transport: tr}
	if s, _, _ := r.post("/h2/x", `{"e":"h2"}`); s != 201 {
		t.Errorf("HTTP/2: %d", s)
	}
	want := []string{`{"e":"gzip"}`, `{"e":"zstd"}`, `{"e":"snappy"}`, `{"e":"deflate"}`, `{"e":"plain"}`, `{"e":"h2"}`}
	if got := strings.Join(r.em.Records(), " "); got != strings.Join(want, " ") {
		t.Errorf("got %s", got)
	}
	if tag := r.em.Events()[5].Tag; tag != "h2_x" {
		t.Errorf("the tag over HTTP/2 is %s", tag)
	}
}

func TestTLSAndUnixSocket(t *testing.T) {
	ca := netxtest.NewCA(t)
	cert, key := ca.Issue("server", "127.0.0.1")
	r := start(t, "tls", "on", "tls.crt_file", cert, "tls.key_file", key)
	r.url = strings.Replace(r.url, "http", "https", 1)
	r.http.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: ca.Pool}
	if s, _, _ := r.post("/", `{}`); s != 201 {
		t.Errorf("TLS: %d", s)
	}
	path := filepath.Join(t.TempDir(), "s")
	u := start(t, "unix_path", path)
	u.http.Transport.(*http.Transport).DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}
	if s, _, _ := u.post("/", `{}`); s != 201 {
		t.Errorf("unix: %d", s)
	}
}

func TestWaitAck(t *testing.T) {
	r := start(t, "wait_ack", "on", "tag_key", "k")
	release := r.em.HoldAcks()
	answered := make(chan int, 1)
	go func() {
		s, _, _ := r.post("/", `[{"k":"a"},{"k":"b"},{}]`)
		answered <- s
	}()
	r.em.Wait(t, 3)
	select {
	case s := <-answered:
		t.Errorf("answered %d before the acks", s)
	case <-time.After(50 * time.Millisecond):
	}
	release()
	if s := <-answered; s != 201 {
		t.Errorf("answered %d", s)
	}
	if s, _, _ := r.post("/", `[]`); s != 201 { // nothing to wait for
		t.Errorf("an empty array: %d", s)
	}
	if s, _, _ := r.post("/", `x`); s != 400 {
		t.Errorf("malformed JSON: %d", s)
	}

	late := start(t, "wait_ack", "on", "wait_ack_timeout", "50ms")
	release = late.em.HoldAcks()
	if s, _, h := late.post("/", `{}`); s != 503 || h.Get("Retry-After") == "" {
		t.Errorf("without an ack: %d", s)
	}
	release()
	if n := plugintest.Rejected(late.env, "not_acknowledged"); n != 1 {
		t.Errorf("counted %d times", n)
	}
}

func TestBackPressureIsAnsweredWith503(t *testing.T) {
	r := start(t, "http_server.busy_timeout", "50ms")
	unblock := r.em.Block()
	if s, text, _ := r.post("/", `{}`); s != 503 || !strings.Contains(text, "no more can be taken in") {
		t.Errorf("got %d %s", s, text)
	}
	unblock()
	if s, _, _ := r.post("/", `{}`); s != 201 {
		t.Errorf("afterwards: %d", s)
	}
}

func TestBadOptions(t *testing.T) {
	f := func(want string, kv ...string) {
		t.Helper()
		_, err := plugintest.TryInput(Def(), plugintest.Env(t), kv...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", kv, err, want)
		}
	}
	f("tls.crt_file", "tls", "on")
	f("between 0 and 65535", "port", "70000")
	f("oauth2.issuer", "oauth2.validate", "on")
	f("at least 2", "success_header", "x")
	f("tag_key", "tag_key", "$")

	port := freePort(t)
	first := plugintest.NewInput(t, Def(), plugintest.Env(t), "listen", "127.0.0.1", "port", port).(*Input)
	if err := first.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	second, err := plugintest.TryInput(Def(), plugintest.Env(t), "listen", "127.0.0.1", "port", port)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.(plugin.Starter).Start(t.Context()); err == nil || !strings.Contains(err.Error(), "listens there") {
		t.Errorf("a port in use: %v", err)
	}
}

func TestTokensAreAskedFor(t *testing.T) {
	r := start(t, "oauth2.validate", "on", "oauth2.issuer", "me", "oauth2.jwks_url", "http://127.0.0.1:1/keys")
	if s, _, _ := r.post("/", `{}`); s != 401 {
		t.Errorf("without a token: %d", s)
	}
	if s, _, _ := r.post("/", `{}`, "Authorization", "Bearer x"); s != 401 {
		t.Errorf("with nonsense: %d", s)
	}
	if n := plugintest.Rejected(r.env, "unauthorized"); n != 2 || r.events() != "" {
		t.Errorf("counted %d times, taken %s", n, r.events())
	}
}
