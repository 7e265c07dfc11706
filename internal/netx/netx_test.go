package netx

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kagarilog/kagari/option"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// set decodes key and value pairs into fields and returns the problems.
func set(fields []option.Field, kv ...string) option.Problems {
	var props []option.Property
	for i := 0; i < len(kv); i += 2 {
		props = append(props, option.Prop(kv[i], kv[i+1]))
	}
	return option.Decode(fields, props, "test", option.Pos{})
}

// client returns options with their defaults and the given changes.
func client(t *testing.T, kv ...string) *Client {
	t.Helper()
	c := &Client{}
	if err := set(c.Fields(), kv...).Err(); err != nil {
		t.Fatal(err)
	}
	return c
}

func tlsOptions(t *testing.T, kv ...string) *TLS {
	t.Helper()
	o := &TLS{}
	if err := set(o.Fields(), kv...).Err(); err != nil {
		t.Fatal(err)
	}
	return o
}

func serverTLSOptions(t *testing.T, kv ...string) *TLS {
	t.Helper()
	o := &TLS{}
	if err := set(o.ServerFields(), kv...).Err(); err != nil {
		t.Fatal(err)
	}
	return o
}

func dialer(t *testing.T, c *Client, o *TLS) *Dialer {
	t.Helper()
	d, err := NewDialer(c, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// serve runs a listener with its defaults changed by kv until the test ends.
func serve(t *testing.T, network, address string, o ListenOptions, handle func(ctx context.Context, conn net.Conn), kv ...string) *Listener {
	t.Helper()
	s := &Server{}
	if err := set(s.Fields(), kv...).Err(); err != nil {
		t.Fatal(err)
	}
	l, err := s.Listen(t.Context(), network, address, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Serve(ctx, handle) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return l
}

// echo sends back every line.
func echo(_ context.Context, conn net.Conn) {
	r := bufio.NewReader(conn)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		if _, err := io.WriteString(conn, line); err != nil {
			return
		}
	}
}

// ask sends a line and returns the answer.
func ask(conn net.Conn, line string) (string, error) {
	if _, err := io.WriteString(conn, line+"\n"); err != nil {
		return "", err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSuffix(answer, "\n"), err
}

func mustAsk(t *testing.T, conn net.Conn) {
	t.Helper()
	if got, err := ask(conn, "hello"); err != nil || got != "hello" {
		t.Fatalf("got %q, %v; want the echo", got, err)
	}
}

func TestDefaultsAreThoseOfFluentBit(t *testing.T) {
	c := client(t)
	want := Client{ConnectTimeout: 10 * time.Second, LogTimeouts: true, Keepalive: true, KeepaliveIdle: 30 * time.Second,
		KeepaliveUses: 2000, TCPKeepIdle: -1, TCPKeepInterval: -1, TCPKeepProbes: -1}
	if *c != want {
		t.Errorf("client defaults are %+v, want %+v", *c, want)
	}
	o := tlsOptions(t)
	if o.On || !o.Verify || o.VerifyHostname || !o.ProxyVerify || !o.ProxyVerifyHostname || o.Debug != 1 {
		t.Errorf("TLS defaults are %+v", *o)
	}
	s := &Server{}
	s.Fields()
	if s.Backlog != 128 || s.SharePort || s.IOTimeout != 0 || s.AcceptTimeout != 10*time.Second || !s.Keepalive {
		t.Errorf("server defaults are %+v", *s)
	}
}

func TestBadOptionsSayWhatIsWrong(t *testing.T) {
	f := func(want string, kv ...string) {
		t.Helper()
		o := &TLS{}
		c := &Client{}
		ps := set(append(o.Fields(), c.Fields()...), kv...)
		text := ""
		for _, p := range ps {
			text += p.Error() + "\n"
		}
		if !ps.HasErrors() {
			if _, err := NewDialer(c, o, nil); err != nil {
				text += err.Error()
			}
		}
		if want == "" && text != "" || !strings.Contains(text, want) {
			t.Errorf("%q: got %q, want %q", kv, text, want)
		}
	}
	f("", "tls.min_version", "TLSv1.2", "tls.max_version", "tlsv1.3")
	f("is no version of TLS", "tls.min_version", "1.2")
	f("is broken", "tls.min_version", "SSLv3")
	f("tls.min_version is above tls.max_version", "tls.min_version", "TLSv1.3", "tls.max_version", "TLSv1.2")
	f("without tls.crt_file", "tls.key_file", "k.pem")
	f("names no cipher suite", "tls.ciphers", "NOT-A-CIPHER")
	f("left out: NOT-A-CIPHER", "tls.ciphers", "ECDHE-RSA-AES128-GCM-SHA256:NOT-A-CIPHER")
	f("", "tls.ciphers", "ECDHE-RSA-AES128-GCM-SHA256:TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384:!aNULL")
	f("default suites", "tls.ciphers", "HIGH:!aNULL")
	f("neither TCP nor UDP", "net.dns.mode", "carrier pigeon")
	f(`did you mean "net.keepalive"`, "net.keepalives", "on")
}

func TestDialReachesTCPAndUnixAndIPv6(t *testing.T) {
	f := func(network, address string, kv ...string) {
		t.Helper()
		l := serve(t, network, address, ListenOptions{}, echo)
		conn, err := dialer(t, client(t, kv...), nil).Dial(t.Context(), network, l.Addr().String())
		if err != nil {
			t.Fatalf("%s %s: %v", network, address, err)
		}
		defer conn.Close()
		mustAsk(t, conn)
	}
	f("tcp", "127.0.0.1:0")
	f("tcp", "127.0.0.1:0", "net.source_address", "127.0.0.2", "net.tcp_keepalive", "on", "net.tcp_keepalive_time", "5", "net.io_timeout", "5")
	f("tcp", "127.0.0.1:0", "net.dns.prefer_ipv4", "on")
	f("tcp", "127.0.0.1:0", "net.dns.prefer_ipv6", "on")
	f("unix", filepath.Join(t.TempDir(), "s"))
	if l, err := net.Listen("tcp", "[::1]:0"); err == nil {
		l.Close()
		f("tcp", "[::1]:0")
		f("tcp", "[::1]:0", "net.dns.prefer_ipv4", "on")
	}
}

func TestSourceAddressIsUsed(t *testing.T) {
	peer := make(chan string, 1)
	l := serve(t, "tcp", "127.0.0.1:0", ListenOptions{}, func(_ context.Context, c net.Conn) { peer <- c.RemoteAddr().String() })
	conn, err := dialer(t, client(t, "net.source_address", "127.0.0.2"), nil).Dial(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := <-peer; !strings.HasPrefix(got, "127.0.0.2:") {
		t.Errorf("the peer saw %s", got)
	}
}

func TestIOTimeoutEndsAReadButNotASlowWrite(t *testing.T) {
	const size = 8 << 20
	read := make(chan int, 1)
	l := serve(t, "tcp", "127.0.0.1:0", ListenOptions{}, func(_ context.Context, c net.Conn) {
		n, buf := 0, make([]byte, 1<<20)
		for n < size {
			time.Sleep(20 * time.Millisecond)
			m, err := c.Read(buf)
			n += m
			if err != nil {
				break
			}
		}
		read <- n
		_, _ = c.Read(buf)
	})
	conn, err := dialer(t, client(t, "net.io_timeout", "150ms"), nil).Dial(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if n, err := conn.Write(make([]byte, size)); n != size || err != nil {
		t.Fatalf("write of a slow reader: %d, %v", n, err)
	}
	if n := <-read; n != size {
		t.Errorf("the peer got %d bytes of %d", n, size)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a read without an answer ended with %v, want a timeout", err)
	}
}

func TestBindEndsCallsWhenTheContextEnds(t *testing.T) {
	for _, limit := range []string{"0", "1h"} {
		l := serve(t, "tcp", "127.0.0.1:0", ListenOptions{}, echo)
		conn, err := dialer(t, client(t, "net.io_timeout", limit), nil).Dial(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		stop := Bind(ctx, conn)
		time.AfterFunc(10*time.Millisecond, cancel)
		for range 2 { // and it stays so
			if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("io_timeout %s: read ended with %v, want a timeout", limit, err)
			}
		}
		if stop() {
			t.Error("stop reports that ctx was not done")
		}
		conn.Close()
	}
}

func TestConnectTimeoutNamesItsOption(t *testing.T) {
	// The peer accepts and never shakes hands, which counts as connecting.
	l := serve(t, "tcp", "127.0.0.1:0", ListenOptions{}, func(ctx context.Context, c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	d := dialer(t, client(t, "net.connect_timeout", "50ms"), tlsOptions(t, "tls", "on"))
	_, err := d.Dial(t.Context(), "tcp", l.Addr().String())
	if !errors.Is(err, ErrConnectTimeout) || !strings.Contains(err.Error(), "net.connect_timeout") {
		t.Errorf("got %v, want the connect timeout", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Dial(ctx, "tcp", l.Addr().String()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
}

func TestResetMakesThePeersNextWriteFail(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	peer, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := peer.Write([]byte("arrived")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64)
	var got []byte
	for len(got) < len("arrived") {
		got = append(got, buf[:ReadArrived(conn, buf)]...)
	}
	if string(got) != "arrived" {
		t.Errorf("read %q of what had arrived", got)
	}
	if n := ReadArrived(conn, buf); n != 0 {
		t.Errorf("read %d bytes of nothing", n)
	}
	if err := Reset(conn); err != nil {
		t.Fatal(err)
	}
	if _, err := peer.Write([]byte("more")); err == nil {
		t.Error("the peer can still write after the reset")
	}
}
