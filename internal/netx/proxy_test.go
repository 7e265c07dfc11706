package netx

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/internal/netx/netxtest"
)

// fakeProxy answers CONNECT and tunnels; requests gets what was asked for.
func fakeProxy(t *testing.T, o ListenOptions, answer string) (addr string, requests chan *http.Request) {
	t.Helper()
	requests = make(chan *http.Request, 1)
	l := serve(t, "tcp", "127.0.0.1:0", o, func(ctx context.Context, conn net.Conn) {
		r := bufio.NewReader(conn)
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		requests <- req
		out, err := net.Dial("tcp", req.Host)
		if err != nil {
			fmt.Fprint(conn, "HTTP/1.1 502 Bad Gateway\r\n\r\n")
			return
		}
		defer out.Close()
		fmt.Fprint(conn, answer)
		if answer != established && !strings.HasSuffix(answer, "early\n") {
			_, _ = io.Copy(io.Discard, r) // until the client gives up
			return
		}
		go func() { _, _ = io.Copy(out, r); out.(*net.TCPConn).CloseWrite() }()
		_, _ = io.Copy(conn, out)
	})
	return l.Addr().String(), requests
}

const established = "HTTP/1.1 200 Connection established\r\n\r\n"

func TestEverythingGoesThroughTheProxy(t *testing.T) {
	ca := netxtest.NewCA(t)
	cert, key := ca.Issue("proxy", "127.0.0.1")
	plain := serve(t, "tcp", "127.0.0.1:0", ListenOptions{}, echo).Addr().String()
	secure, _ := echoTLS(t, ca, []string{"127.0.0.1"})
	f := func(o ListenOptions, format, target string, tls *TLS) {
		t.Helper()
		addr, requests := fakeProxy(t, o, established)
		t.Setenv("HTTP_PROXY", fmt.Sprintf(format, addr))
		conn, err := dialer(t, client(t, "net.io_timeout", "5"), tls).Dial(t.Context(), "tcp", target)
		if err != nil {
			t.Fatalf("%s: %v", format, err)
		}
		defer conn.Close()
		mustAsk(t, conn)
		req := <-requests
		if req.Method != "CONNECT" || req.Host != target {
			t.Errorf("the proxy was asked for %s %s", req.Method, req.Host)
		}
		wantAuth := strings.Contains(format, "@")
		if user, pass, ok := (&http.Request{Header: http.Header{"Authorization": req.Header["Proxy-Authorization"]}}).BasicAuth(); ok != wantAuth || ok && (user != "me" || pass != "p w") {
			t.Errorf("%s: the proxy got user %q, password %q", format, user, pass)
		}
	}
	f(ListenOptions{}, "http://%s", plain, nil)
	f(ListenOptions{}, "%s", plain, nil)
	f(ListenOptions{}, "http://me:p%%20w@%s/", plain, nil)
	f(ListenOptions{}, "http://%s", secure, tlsOptions(t, "tls", "on", "tls.ca_file", ca.File, "tls.verify_hostname", "on"))
	overTLS := ListenOptions{TLS: serverTLSOptions(t, "tls", "on", "tls.crt_file", cert, "tls.key_file", key)}
	f(overTLS, "https://%s", plain, tlsOptions(t, "tls.proxy.ca_file", ca.File))
	f(overTLS, "https://%s", secure, tlsOptions(t, "tls", "on", "tls.ca_file", ca.File, "tls.proxy.ca_file", ca.File))
}

func TestProxyFailuresAreExplained(t *testing.T) {
	target := serve(t, "tcp", "127.0.0.1:0", ListenOptions{}, echo).Addr().String()
	f := func(answer, want string) {
		t.Helper()
		addr, _ := fakeProxy(t, ListenOptions{}, answer)
		t.Setenv("http_proxy", addr)
		_, err := dialer(t, client(t, "net.connect_timeout", "200ms"), nil).Dial(t.Context(), "tcp", target)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	f("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407 Proxy Authentication Required")
	f("rubbish\r\n\r\n", "read the answer")
	f("HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 1<<20), "read the answer")
	f("HTTP/1.1 200 OK\r\nX", "net.connect_timeout")
	f("", "net.connect_timeout")
	for _, bad := range []string{"ftp://x", "http://", "http://u:secret@ho st"} {
		t.Setenv("http_proxy", bad)
		if _, err := NewDialer(client(t), nil, nil); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: got %v", bad, err)
		}
	}
	if _, err := NewDialer(client(t, "net.proxy_env_ignore", "on"), nil, nil); err != nil {
		t.Errorf("the ignored environment is read: %v", err)
	}
}

func TestBytesThatComeWithTheProxysAnswerAreKept(t *testing.T) {
	target := serve(t, "tcp", "127.0.0.1:0", ListenOptions{}, echo).Addr().String()
	addr, _ := fakeProxy(t, ListenOptions{}, established+"early\n")
	t.Setenv("HTTP_PROXY", addr)
	conn, err := dialer(t, client(t), nil).Dial(t.Context(), "tcp", target)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got, err := bufio.NewReader(conn).ReadString('\n'); got != "early\n" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestNoProxyNamesHostsThatAreReachedDirectly(t *testing.T) {
	f := func(list, address string, want bool) {
		t.Helper()
		p, err := proxyFromEnv(func(k string) string {
			return map[string]string{"HTTP_PROXY": "http://p:1", "NO_PROXY": list}[k]
		}, &TLS{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.serves(address); got != want {
			t.Errorf("NO_PROXY=%q: %s through the proxy is %v, want %v", list, address, got, want)
		}
	}
	f("", "127.0.0.1:80", true)
	f("*", "a:80", false)
	f("a, b", "b:80", false)
	f("a,b", "c:80", true)
	f("A.Example", "a.example.:80", false)
	f("example", "a.example:80", true) // whole names, as Fluent Bit compares them
	f(".example", "a.example:80", false)
	f("*.example", "a.example:80", false)
	f(".example", "example:80", false)
	f("a:443", "a:443", false)
	f("a:443", "a:80", true)
	f("10.0.0.0/8", "10.1.2.3:80", false)
	f("10.0.0.0/8", "11.1.2.3:80", true)
	f("169.254.170.2", "169.254.170.2:80", false)
	f("[::1]", "[::1]:80", false)
	f("::1", "[::1]:80", false)
	var none *proxy
	if none.serves("a:80") {
		t.Error("no proxy serves an address")
	}
}
