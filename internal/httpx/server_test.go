package httpx

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kagarilog/kagari/internal/netx"
	"github.com/kagarilog/kagari/internal/netx/netxtest"
)

// startServer serves handle with the body of each request until the test ends.
func startServer(t *testing.T, handle func(ctx context.Context, body []byte) error, kv ...string) (addr string, s *Server, rejected func() string) {
	t.Helper()
	s = &Server{}
	ns := &netx.Server{}
	st := &netx.TLS{}
	set(t, append(append(s.Fields(), ns.Fields()...), st.ServerFields()...), kv...)
	var mu sync.Mutex
	var reasons []string
	reject := func(r string) { mu.Lock(); defer mu.Unlock(); reasons = append(reasons, r) }
	l, err := ns.Listen(t.Context(), "tcp", "127.0.0.1:0", netx.ListenOptions{TLS: st, ALPN: s.ALPN(), Reject: reject})
	if err != nil {
		t.Fatal(err)
	}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.WithBody(w, r, handle); err != nil {
			var re *RequestError
			if errors.As(err, &re) {
				reject(re.Reason)
			}
			Answer(w, err)
			return
		}
		w.Header().Set("X-Proto", r.Proto)
		w.WriteHeader(201)
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l, h, slog.New(slog.DiscardHandler), reject) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return l.Addr().String(), s, func() string { mu.Lock(); defer mu.Unlock(); return strings.Join(reasons, " ") }
}

func httpClient(t *testing.T, tr *http.Transport) *http.Client {
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func TestServerDecodesBodies(t *testing.T) {
	var got []byte
	addr, _, _ := startServer(t, func(_ context.Context, body []byte) error { got = bytes.Clone(body); return nil })
	c := newClient(t, ClientOptions{})
	for _, size := range []int{1 << 20, 10 << 20} {
		serverDecodes(t, c, addr, &got, lines(size))
	}
}

func serverDecodes(t *testing.T, c *Client, addr string, got *[]byte, in []byte) {
	t.Helper()
	for _, e := range encodings[1:] {
		b := NewBody(e)
		_, _ = b.Write(in)
		req := post(t, "http://"+addr, b.Bytes())
		req.Header = http.Header{"Content-Encoding": {string(e)}}
		resp, err := c.Do(t.Context(), req)
		if err != nil || resp.Status != 201 || !bytes.Equal(*got, in) {
			t.Errorf("%s: got %d bytes of %d, %+v, %v", e, len(*got), len(in), resp, err)
		}
		b.Free()
	}
}

func TestServerSpeaksHTTP2(t *testing.T) {
	ca := netxtest.NewCA(t)
	cert, key := ca.Issue("server", "127.0.0.1")
	secure := []string{"tls", "on", "tls.crt_file", cert, "tls.key_file", key}
	f := func(scheme, proto string, h2 bool, kv ...string) {
		t.Helper()
		addr, _, _ := startServer(t, func(context.Context, []byte) error { return nil }, kv...)
		tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool}, Protocols: &http.Protocols{}}
		tr.Protocols.SetHTTP1(!h2)
		tr.Protocols.SetHTTP2(h2 || scheme == "https")
		tr.Protocols.SetUnencryptedHTTP2(h2)
		resp, err := httpClient(t, tr).Post(scheme+"://"+addr, "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Errorf("%s %s: %v", scheme, proto, err)
			return
		}
		resp.Body.Close()
		if resp.StatusCode != 201 || resp.Header.Get("X-Proto") != proto {
			t.Errorf("%s: got %d with %s, want %s", scheme, resp.StatusCode, resp.Header.Get("X-Proto"), proto)
		}
	}
	f("http", "HTTP/1.1", false)
	f("http", "HTTP/2.0", true)
	f("https", "HTTP/2.0", true, secure...)
	f("https", "HTTP/1.1", false, append(secure, "http_server.http2", "off")...)
}

func TestServerRefusesTooMuch(t *testing.T) {
	addr, _, rejected := startServer(t, func(context.Context, []byte) error { return nil },
		"buffer_max_size", "1000", "http_server.body_max_size", "5000")
	c := newClient(t, ClientOptions{})
	f := func(status int, reason string, encoding Encoding, size int, chunked bool) {
		t.Helper()
		b := NewBody(encoding)
		defer b.Free()
		_, _ = b.Write(make([]byte, size))
		before := rejected()
		var got int
		if chunked {
			req, _ := http.NewRequest("POST", "http://"+addr, io.MultiReader(bytes.NewReader(b.Bytes())))
			resp, err := httpClient(t, &http.Transport{}).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			got = resp.StatusCode
		} else {
			req := post(t, "http://"+addr, b.Bytes())
			req.Header = http.Header{"Content-Encoding": {string(encoding)}}
			resp, err := c.Do(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			got = resp.Status
		}
		if counted := strings.TrimSpace(strings.TrimPrefix(rejected(), before)); got != status || counted != reason {
			t.Errorf("%d bytes (%s): got %d, counted %q, want %d, %q", size, encoding, got, counted, status, reason)
		}
	}
	f(201, "", Identity, 1000, false)
	f(413, "body_too_large", Identity, 1001, false)
	f(413, "body_too_large", Identity, 1001, true)
	f(201, "", Gzip, 5000, false)
	f(413, "body_too_large", Gzip, 5001, false)
	f(413, "body_too_large", Zstd, 50_000_000, false)
}

func TestServerCutsSlowClientsOff(t *testing.T) {
	addr, _, rejected := startServer(t, func(context.Context, []byte) error { return nil }, "http_server.idle_timeout", "100ms")
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nslow")
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	answer, err := io.ReadAll(conn)
	if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 408")) {
		t.Errorf("got %q, %v", answer, err)
	}
	if got := rejected(); got != "body_too_slow" {
		t.Errorf("counted %q", got)
	}
}

func TestServerRefusesHugeHeaders(t *testing.T) {
	addr, _, _ := startServer(t, func(context.Context, []byte) error { return nil })
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() {
		fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: x\r\n")
		for range 10_000 {
			if _, err := fmt.Fprintf(conn, "X: %01000d\r\n", 0); err != nil {
				return
			}
		}
	}()
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	buf := make([]byte, 12)
	if _, err := io.ReadFull(conn, buf); err != nil || string(buf) != "HTTP/1.1 431" {
		t.Errorf("got %q, %v", buf, err)
	}
}

func TestABusyServerSaysSo(t *testing.T) {
	hold := make(chan struct{})
	addr, s, rejected := startServer(t, func(ctx context.Context, body []byte) error {
		select {
		case <-hold:
			return nil
		case <-ctx.Done():
			return Busy(context.Cause(ctx))
		}
	}, "http_server.busy_timeout", "50ms")
	c := newClient(t, ClientOptions{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			resp, err := c.Do(t.Context(), post(t, "http://"+addr, []byte("x")))
			if err != nil || resp.Status != 503 || resp.Header.Get("Retry-After") == "" || !strings.Contains(string(resp.Body), "no more can be taken in") {
				t.Errorf("got %+v, %v", resp, err)
			}
		})
	}
	wg.Wait()
	if n := len(s.slots); n != 0 {
		t.Errorf("%d bodies are still held", n)
	}
	close(hold)
	if resp, err := c.Do(t.Context(), post(t, "http://"+addr, []byte("x"))); err != nil || resp.Status != 201 {
		t.Errorf("afterwards: %+v, %v", resp, err)
	}
	if got := rejected(); got != "busy busy busy busy" {
		t.Errorf("counted %q", got)
	}
}

func TestServerCountsFailedHandshakes(t *testing.T) {
	ca := netxtest.NewCA(t)
	cert, key := ca.Issue("server", "127.0.0.1")
	addr, _, rejected := startServer(t, func(context.Context, []byte) error { return nil }, "tls", "on", "tls.crt_file", cert, "tls.key_file", key)
	resp, err := http.Get("http://" + addr)
	if err == nil {
		resp.Body.Close()
	}
	http.DefaultClient.CloseIdleConnections()
	for end := time.Now().Add(5 * time.Second); rejected() == "" && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if got := rejected(); got != "tls_handshake" {
		t.Errorf("counted %q", got)
	}
}

func TestRequestsUnderWayAreToldOfTheEnd(t *testing.T) {
	started := make(chan struct{})
	s := &Server{}
	s.Fields()
	ns := &netx.Server{}
	ns.Fields()
	l, err := ns.Listen(t.Context(), "tcp", "127.0.0.1:0", netx.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := s.WithBody(w, r, func(ctx context.Context, _ []byte) error {
			close(started)
			<-ctx.Done()
			return Busy(context.Cause(ctx))
		})
		Answer(w, err)
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l, h, slog.New(slog.DiscardHandler), func(string) {}) }()
	go func() { <-started; cancel() }()
	c := newClient(t, ClientOptions{})
	resp, err := c.Do(t.Context(), post(t, "http://"+l.Addr().String(), []byte("x")))
	if err != nil || resp.Status != 503 {
		t.Errorf("got %+v, %v", resp, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
