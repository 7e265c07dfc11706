package netx

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kagarilog/kagari/internal/netx/netxtest"
)

// servers numbers the certificates of echoTLS.
var servers atomic.Int64

// echoTLS runs an echo server with a certificate for the hosts.
func echoTLS(t *testing.T, ca *netxtest.CA, hosts []string, kv ...string) (addr string, rejected *atomic.Int64) {
	t.Helper()
	cert, key := ca.Issue(fmt.Sprint("server", servers.Add(1)), hosts...)
	rejected = &atomic.Int64{}
	o := ListenOptions{
		TLS:    serverTLSOptions(t, append([]string{"tls", "on", "tls.crt_file", cert, "tls.key_file", key}, kv...)...),
		Reject: func(string) { rejected.Add(1) },
	}
	return serve(t, "tcp", "127.0.0.1:0", o, echo).Addr().String(), rejected
}

func TestClientVerifies(t *testing.T) {
	ca, other := netxtest.NewCA(t), netxtest.NewCA(t)
	right, _ := echoTLS(t, ca, []string{"127.0.0.1"})
	wrong, _ := echoTLS(t, ca, []string{"elsewhere.example"})
	dir := t.TempDir()
	if pem, err := os.ReadFile(ca.File); err != nil || os.WriteFile(filepath.Join(dir, "any.crt"), pem, 0o600) != nil {
		t.Fatal("copy the CA")
	}
	f := func(addr, want string, kv ...string) {
		t.Helper()
		conn, err := dialer(t, client(t), tlsOptions(t, append([]string{"tls", "on"}, kv...)...)).Dial(t.Context(), "tcp", addr)
		if want != "" {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: got %v, want %q", kv, err, want)
			}
			return
		}
		if err != nil {
			t.Errorf("%q: %v", kv, err)
			return
		}
		defer conn.Close()
		mustAsk(t, conn)
	}
	f(right, "", "tls.ca_file", ca.File)
	f(right, "", "tls.ca_path", dir)
	f(right, "", "tls.ca_file", ca.File, "tls.verify_hostname", "on")
	f(right, "", "tls.verify", "off")
	f(right, "unknown authority")
	f(right, "unknown authority", "tls.ca_file", other.File)
	f(right, "unknown authority", "tls.ca_file", other.File, "tls.verify_hostname", "on")
	f(right, "no such file", "tls.ca_file", filepath.Join(dir, "none"))
	// Without tls.verify_hostname the name does not matter, as in Fluent Bit.
	f(wrong, "", "tls.ca_file", ca.File)
	f(wrong, "127.0.0.1", "tls.ca_file", ca.File, "tls.verify_hostname", "on")
	f(wrong, "", "tls.ca_file", ca.File, "tls.verify_hostname", "on", "tls.vhost", "elsewhere.example")
	f(right, "protocol version", "tls.ca_file", ca.File, "tls.max_version", "TLSv1.1")
}

func TestVhostIsSentAsServerName(t *testing.T) {
	ca := netxtest.NewCA(t)
	names := make(chan string, 1)
	cfg := ca.Server()
	cfg.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) { names <- h.ServerName; return nil, nil }
	l, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
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
			_ = c.(*tls.Conn).Handshake()
			c.Close()
		}
	}()
	f := func(address, want string, kv ...string) {
		t.Helper()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		conn, err := dialer(t, client(t), tlsOptions(t, append([]string{"tls", "on", "tls.ca_file", ca.File}, kv...)...)).
			Dial(t.Context(), "tcp", net.JoinHostPort(address, port))
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		if got := <-names; got != want {
			t.Errorf("server name is %q, want %q", got, want)
		}
	}
	f("127.0.0.1", "")
	f("localhost", "localhost")
	f("127.0.0.1", "logs.example", "tls.vhost", "logs.example")
}

func TestServerAsksForClientCertificates(t *testing.T) {
	ca, other := netxtest.NewCA(t), netxtest.NewCA(t)
	good, goodKey := ca.Issue("client")
	bad, badKey := other.Issue("client")
	f := func(serverKV []string, cert, key string, ok bool) {
		t.Helper()
		addr, rejected := echoTLS(t, ca, []string{"127.0.0.1"}, append([]string{"tls.ca_file", ca.File}, serverKV...)...)
		o := tlsOptions(t, "tls", "on", "tls.ca_file", ca.File, "tls.crt_file", cert, "tls.key_file", key)
		conn, err := dialer(t, client(t), o).Dial(t.Context(), "tcp", addr)
		if err == nil {
			defer conn.Close()
			_, err = ask(conn, "hello") // with TLS 1.3 the refusal comes after the handshake
		}
		if (err == nil) != ok {
			t.Errorf("%q with %q: got %v, want ok=%v", serverKV, filepath.Base(cert), err, ok)
		}
		for end := time.Now().Add(5 * time.Second); !ok && rejected.Load() == 0 && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		if !ok && rejected.Load() != 1 {
			t.Errorf("%q: %d refused handshakes were counted, want 1", serverKV, rejected.Load())
		}
	}
	must := []string{"tls.verify_client_cert", "on"}
	f(nil, "", "", true)
	f(nil, good, goodKey, true)
	f(nil, bad, badKey, false)
	f(must, "", "", false)
	f(must, good, goodKey, true)
	f(must, bad, badKey, false)
	f([]string{"tls.verify", "off"}, bad, badKey, true)
	// A key in the same file, and a certificate without any key, are taken too.
	both := filepath.Join(t.TempDir(), "both.pem")
	a, _ := os.ReadFile(good)
	b, _ := os.ReadFile(goodKey)
	if err := os.WriteFile(both, append(a, b...), 0o600); err != nil {
		t.Fatal(err)
	}
	f(must, both, "", true)
	f(nil, good, "", true)
}

// peerSerial connects and returns the serial number of the server's certificate.
func peerSerial(t *testing.T, d *Dialer, addr string) string {
	t.Helper()
	conn, err := d.Dial(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	mustAsk(t, conn)
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// later moves a file's time on: two writes within one tick of the clock would
// look the same.
func later(t *testing.T, path string, seconds int) {
	t.Helper()
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(time.Duration(seconds)*time.Second)); err != nil {
		t.Fatal(err)
	}
}

func TestChangedFilesAreReadAgain(t *testing.T) {
	ca := netxtest.NewCA(t)
	var log bytes.Buffer
	cert, key := ca.Issue("server", "127.0.0.1")
	o := ListenOptions{TLS: serverTLSOptions(t, "tls", "on", "tls.crt_file", cert, "tls.key_file", key),
		Log: slog.New(slog.NewTextHandler(&log, nil))}
	addr := serve(t, "tcp", "127.0.0.1:0", o, echo).Addr().String()
	roots := filepath.Join(t.TempDir(), "roots.pem")
	copies := 0
	copyFile := func(from string) {
		t.Helper()
		b, err := os.ReadFile(from)
		if err != nil || os.WriteFile(roots, b, 0o600) != nil {
			t.Fatal("copy", from)
		}
		copies++
		later(t, roots, copies)
	}
	copyFile(ca.File)
	d := dialer(t, client(t), tlsOptions(t, "tls", "on", "tls.ca_file", roots))
	first := peerSerial(t, d, addr)
	if again := peerSerial(t, d, addr); again != first {
		t.Fatal("the certificate changed by itself")
	}

	ca.Issue("server", "127.0.0.1")
	later(t, cert, 1)
	// A dialer that was there before resumes its session, certificate and all.
	d = dialer(t, client(t), tlsOptions(t, "tls", "on", "tls.ca_file", roots, "tls.verify_hostname", "on"))
	if got := peerSerial(t, d, addr); got == first {
		t.Error("the server still shows the old certificate")
	}

	// What cannot be read leaves things as they were.
	if err := os.WriteFile(key, []byte("half written"), 0o600); err != nil {
		t.Fatal(err)
	}
	second := peerSerial(t, d, addr)
	if !strings.Contains(log.String(), "cannot read changed TLS files") {
		t.Errorf("the unreadable key is not reported: %s", log.String())
	}

	// A client follows its CA file too.
	copyFile(netxtest.NewCA(t).File)
	if _, err := d.Dial(t.Context(), "tcp", addr); err == nil {
		t.Error("the old CA is still trusted")
	}
	copyFile(ca.File)
	if got := peerSerial(t, d, addr); got != second {
		t.Error("another certificate than before")
	}
}

func TestLoadFailsAtStart(t *testing.T) {
	d := dialer(t, client(t), tlsOptions(t, "tls", "on", "tls.ca_file", "/nowhere/ca.pem"))
	if err := d.Load(); err == nil || !strings.Contains(err.Error(), "tls.ca_file") {
		t.Errorf("got %v, want a missing tls.ca_file", err)
	}
	s := &Server{}
	s.Fields()
	_, err := s.Listen(t.Context(), "tcp", "127.0.0.1:0", ListenOptions{TLS: serverTLSOptions(t, "tls", "on")})
	if err == nil || !strings.Contains(err.Error(), "tls.crt_file") {
		t.Errorf("got %v, want a missing tls.crt_file", err)
	}
	ca := netxtest.NewCA(t)
	cert, _ := ca.Issue("server")
	_, err = s.Listen(t.Context(), "tcp", "127.0.0.1:0", ListenOptions{TLS: serverTLSOptions(t, "tls", "on", "tls.crt_file", cert)})
	if err == nil || !strings.Contains(err.Error(), "no private key") {
		t.Errorf("got %v, want a missing key", err)
	}
}

func TestEncryptedKeys(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Log("without openssl only the errors are tested")
	}
	ca := netxtest.NewCA(t)
	cert, key := ca.Issue("server", "127.0.0.1")
	f := func(password, want string, args ...string) {
		t.Helper()
		out := filepath.Join(t.TempDir(), "enc.key")
		if len(args) > 0 {
			if openssl == "" {
				return
			}
			cmd := exec.Command(openssl, append(args, "-in", key, "-out", out, "-passout", "pass:open sesame")...)
			if msg, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, msg)
			}
		} else if err := os.WriteFile(out, pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("junk")}), 0o600); err != nil {
			t.Fatal(err)
		}
		o := *serverTLSOptions(t, "tls", "on", "tls.crt_file", cert, "tls.key_file", out, "tls.key_passwd", password)
		_, err := watchCert(o, nil).get()
		switch {
		case want == "" && err != nil:
			t.Errorf("%q: %v", args, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: got %v, want %q", args, err, want)
		}
	}
	pkcs8 := []string{"pkcs8", "-topk8"}
	f("open sesame", "", pkcs8...)
	f("open sesame", "", append(pkcs8, "-v2", "aes128", "-v2prf", "hmacWithSHA1")...)
	f("open sesame", "", append(pkcs8, "-v2", "des3", "-v2prf", "hmacWithSHA512")...)
	f("open sesame", "", "ec", "-aes256")
	f("wrong", "decrypt the private key", "ec", "-aes256")
	f("", "tls.key_passwd is not given", pkcs8...)
	f("x", "decrypt the private key")
}

func TestServerSurvivesPeersThatDoNotSpeakTLS(t *testing.T) {
	ca := netxtest.NewCA(t)
	cert, key := ca.Issue("server", "127.0.0.1")
	rejected := make(chan string, 2)
	o := ListenOptions{TLS: serverTLSOptions(t, "tls", "on", "tls.crt_file", cert, "tls.key_file", key),
		Reject: func(r string) { rejected <- r }}
	l := serve(t, "tcp", "127.0.0.1:0", o, echo, "net.accept_timeout", "100ms")
	for _, say := range []string{"GET / HTTP/1.0\r\n\r\n", ""} { // a wrong protocol, and silence
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write([]byte(say))
		if got := <-rejected; got != "tls_handshake" {
			t.Errorf("rejected for %q", got)
		}
		c.Close()
	}
	conn, err := dialer(t, client(t), tlsOptions(t, "tls", "on", "tls.ca_file", ca.File)).Dial(context.Background(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	mustAsk(t, conn)
}

func FuzzDecryptKey(f *testing.F) {
	f.Add([]byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"), "x")
	f.Fuzz(func(t *testing.T, text []byte, password string) {
		if len(text) > 4096 {
			return
		}
		_, _ = decryptKey(text, password)
	})
}
