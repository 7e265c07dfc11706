package httpx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kagarilog/kagari/internal/netx"
	"github.com/kagarilog/kagari/internal/netx/netxtest"
	"github.com/kagarilog/kagari/option"
)

// set stores key and value pairs through fields.
func set(t testing.TB, fields []option.Field, kv ...string) {
	t.Helper()
	var props []option.Property
	for i := 0; i < len(kv); i += 2 {
		props = append(props, option.Prop(kv[i], kv[i+1]))
	}
	if ps := option.Decode(fields, props, "test", option.Pos{}); ps.HasErrors() {
		t.Fatal(ps.Err())
	}
}

// newClient makes a client with net.* and tls.* options.
func newClient(t testing.TB, o ClientOptions, kv ...string) *Client {
	t.Helper()
	var n netx.Client
	var s netx.TLS
	set(t, append(n.Fields(), s.Fields()...), kv...)
	d, err := netx.NewDialer(&n, &s, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewClient(d, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func post(t testing.TB, rawURL string, body []byte) *Request {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	return &Request{Method: "POST", URL: u, Body: body}
}

// countConns makes a server count its connections.
func countConns(s *httptest.Server) *atomic.Int64 {
	n := &atomic.Int64{}
	s.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateNew {
			n.Add(1)
		}
	}
	return n
}

func TestDoSendsWhatItIsGiven(t *testing.T) {
	got := make(chan *http.Request, 1)
	bodies := make(chan string, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got <- r
		bodies <- string(b)
		w.Header().Set("X-Answer", "yes")
		w.WriteHeader(418)
		_, _ = io.WriteString(w, "short and stout")
	}))
	defer s.Close()
	req := post(t, s.URL+"/a?b=c", []byte("body"))
	req.Header = http.Header{"x-lower": {"1", "2"}}
	req.Host = "logs.example"
	resp, err := newClient(t, ClientOptions{}).Do(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	r := <-got
	if r.Method != "POST" || r.RequestURI != "/a?b=c" || r.Host != "logs.example" || r.ContentLength != 4 || <-bodies != "body" {
		t.Errorf("the server got %s %s, host %s, %d bytes", r.Method, r.RequestURI, r.Host, r.ContentLength)
	}
	if ua := r.Header.Values("User-Agent"); len(ua) != 1 || ua[0] != "Fluent-Bit" || len(r.Header["X-Lower"]) != 2 || r.Header.Get("Accept-Encoding") != "" || len(r.Header["Idempotency-Key"]) != 0 {
		t.Errorf("the server got the header %v", r.Header)
	}
	if resp.Status != 418 || resp.Header.Get("X-Answer") != "yes" || string(resp.Body) != "short and stout" || resp.Truncated {
		t.Errorf("got the answer %+v", resp)
	}
}

func TestRedirectsAreAnswers(t *testing.T) {
	s := httptest.NewServer(http.RedirectHandler("/elsewhere", 307))
	defer s.Close()
	resp, err := newClient(t, ClientOptions{}).Do(t.Context(), post(t, s.URL, []byte("x")))
	if err != nil || resp.Status != 307 {
		t.Errorf("got %+v, %v", resp, err)
	}
}

func TestLongAnswersAreCut(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for range 100 {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}))
	defer s.Close()
	resp, err := newClient(t, ClientOptions{}).Do(t.Context(), post(t, s.URL, []byte("x")))
	if err != nil || len(resp.Body) != DefaultMaxAnswer || !resp.Truncated {
		t.Errorf("got %d bytes, truncated %v, %v", len(resp.Body), resp.Truncated, err)
	}
}

func TestConnectionsAreKept(t *testing.T) {
	f := func(requests int, want int64, kv ...string) {
		t.Helper()
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = w.Write(make([]byte, 100_000)) // more than is kept
		}))
		n := countConns(s)
		s.Start()
		defer s.Close()
		c := newClient(t, ClientOptions{}, kv...)
		for range requests {
			if _, err := c.Do(t.Context(), post(t, s.URL, []byte("x"))); err != nil {
				t.Fatal(err)
			}
		}
		if n.Load() != want {
			t.Errorf("%q: %d connections for %d requests, want %d", kv, n.Load(), requests, want)
		}
	}
	f(5, 1)
	f(5, 5, "net.keepalive", "off")
	f(6, 3, "net.keepalive_max_recycle", "2")
	f(6, 1, "net.keepalive_max_recycle", "0")
}

func TestADeadKeptConnectionCostsNoError(t *testing.T) {
	// The server closes every connection after the answer without saying so, and
	// the second request meets it at the worst moment: it has been sent.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var conns atomic.Int64
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n := conns.Add(1)
			buf := make([]byte, 4096)
			_, _ = c.Read(buf)
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			if n == 1 {
				_, _ = c.Read(buf)
			}
			c.Close()
		}
	}()
	c := newClient(t, ClientOptions{})
	for i := range 2 {
		if resp, err := c.Do(t.Context(), post(t, "http://"+l.Addr().String(), []byte("x"))); err != nil || resp.Status != 200 {
			t.Errorf("request %d: %v", i, err)
		}
	}
	if conns.Load() != 2 {
		t.Errorf("%d connections, want 2", conns.Load())
	}
}

func TestTimeouts(t *testing.T) {
	silent := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}
	half := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(200)
		_, _ = io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	f := func(h http.HandlerFunc, status int, o ClientOptions, kv ...string) {
		t.Helper()
		s := httptest.NewServer(h)
		defer s.Close()
		c := newClient(t, o, kv...)
		start := time.Now()
		resp, err := c.Do(t.Context(), post(t, s.URL, []byte("x")))
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("it took %v", d)
		}
		switch {
		case status == 0 && err == nil:
			t.Error("there is no error")
		case status != 0 && (err != nil || resp.Status != status || !resp.Truncated):
			t.Errorf("got %+v, %v", resp, err)
		}
	}
	const short = 50 * time.Millisecond
	f(silent, 0, ClientOptions{ResponseTimeout: short})
	f(silent, 0, ClientOptions{ReadIdleTimeout: short})
	f(silent, 0, ClientOptions{}, "net.io_timeout", "50ms")
	f(half, 200, ClientOptions{ResponseTimeout: short})
	f(half, 200, ClientOptions{ReadIdleTimeout: short})
	f(half, 200, ClientOptions{}, "net.io_timeout", "50ms")
}

func TestAPeerThatNeverReadsIsGivenUp(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // nobody accepts: the system does, and buffers a little
	c := newClient(t, ClientOptions{ResponseTimeout: 100 * time.Millisecond})
	_, err = c.Do(t.Context(), post(t, "http://"+l.Addr().String(), make([]byte, 64<<20)))
	if err == nil {
		t.Error("there is no error")
	}
}

func TestContextEndsARequest(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := newClient(t, ClientOptions{}).Do(ctx, post(t, s.URL, []byte("x"))); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestTheBodyIsFreeAfterDo(t *testing.T) {
	// The answer comes before the body was read; Do must be done with the body.
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(413)
	}))
	defer s.Close()
	c := newClient(t, ClientOptions{})
	body := bytes.Repeat([]byte("a"), 4<<20)
	for range 5 {
		resp, err := c.Do(t.Context(), post(t, s.URL, body))
		if err == nil && resp.Status != 413 {
			t.Errorf("got %d", resp.Status)
		}
		for i := range body { // the race detector tells
			body[i]++
		}
	}
}

func TestUnixSocketAndTLS(t *testing.T) {
	ca := netxtest.NewCA(t)
	path := filepath.Join(t.TempDir(), "s")
	f := func(network, address string, secure bool, o ClientOptions, kv ...string) {
		t.Helper()
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) }))
		s.Listener.Close()
		s.Listener = l
		u := "http://127.0.0.1:1"
		if secure {
			s.TLS = ca.Server()
			s.StartTLS()
			u = "https://127.0.0.1:1"
		} else {
			s.Start()
		}
		defer s.Close()
		if network == "tcp" {
			u = strings.Replace(u, "127.0.0.1:1", l.Addr().String(), 1)
		}
		resp, err := newClient(t, o, kv...).Do(t.Context(), post(t, u, []byte("x")))
		if err != nil || resp.Status != 204 {
			t.Errorf("%s: got %+v, %v", network, resp, err)
		}
	}
	f("unix", path, false, ClientOptions{UnixPath: path})
	f("unix", path, true, ClientOptions{UnixPath: path}, "tls", "on", "tls.ca_file", ca.File)
	f("tcp", "127.0.0.1:0", true, ClientOptions{}, "tls", "on", "tls.ca_file", ca.File, "tls.verify_hostname", "on")
}

func TestProxyOption(t *testing.T) {
	asked := make(chan string, 1)
	p := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.RequestURI
		w.WriteHeader(http.StatusTeapot)
	}))
	defer p.Close()
	c := newClient(t, ClientOptions{Proxy: p.URL})
	resp, err := c.Do(t.Context(), post(t, "http://logs.example:99/in", []byte("x")))
	if err != nil || resp.Status != 418 {
		t.Fatalf("got %+v, %v", resp, err)
	}
	if got := <-asked; got != "POST http://logs.example:99/in" {
		t.Errorf("the proxy was asked for %s", got)
	}
	if _, err := c.Do(t.Context(), post(t, "https://logs.example/in", []byte("x"))); err == nil || !strings.Contains(err.Error(), "418") {
		t.Errorf("got %v, want the refused tunnel", err)
	}
	if got := <-asked; got != "CONNECT logs.example:443" {
		t.Errorf("the proxy was asked for %s", got)
	}
	d, _ := netx.NewDialer(&netx.Client{}, nil, nil)
	if _, err := NewClient(d, ClientOptions{Proxy: "nonsense"}); err == nil {
		t.Error("a bad proxy is accepted")
	}
}

func TestConnectionsAreCounted(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	c := newClient(t, ClientOptions{})
	if n := c.Connections(); n != 0 {
		t.Errorf("%d connections at first", n)
	}
	if _, err := c.Do(t.Context(), post(t, s.URL, []byte("x"))); err != nil {
		t.Fatal(err)
	}
	if n := c.Connections(); n != 1 {
		t.Errorf("%d connections after a request, want the one that is kept", n)
	}
	c.Close()
	for deadline := time.Now().Add(5 * time.Second); c.Connections() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections after the end", c.Connections())
		}
	}
}
