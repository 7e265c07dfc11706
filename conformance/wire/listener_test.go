package wire

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// message is one thing that a listener received. It does not change once the
// listeners are closed.
type message struct {
	listener string
	proto    string // of the listener, without TLS except for https
	raw      []byte

	// Of a request.
	method, target string
	header         map[string][]string // by names in lower case
	plain          []byte              // the body without its content encoding
	status         int                 // of the answer
	refused        []int               // positions of events that the answer refused
	problem        string

	// Of the forward protocol.
	value     any            // the decoded message
	ack       string         // how it was acknowledged, empty for as it should be
	handshake map[string]any // instead of a message
}

func (m *message) http() bool { return m.proto == "http" || m.proto == "https" }

// headerValue is the first value of a header, whose name is in lower case.
func (m *message) headerValue(name string) string {
	if v := m.header[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// journal keeps what all listeners of a case received, in order of arrival.
type journal struct {
	mu       sync.Mutex
	messages []*message
	last     time.Time // of arrival, at first of the start
}

func (j *journal) add(m *message) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.messages = append(j.messages, m)
	j.last = time.Now()
}

// grow adds to a message that is in the journal.
func (j *journal) grow(m *message, b []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	m.raw = append(m.raw, b...)
	j.last = time.Now()
}

// state is the number of messages and how long nothing has come.
func (j *journal) state() (n int, quiet time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.messages), time.Since(j.last)
}

// script chooses replies.
type script struct {
	mu    sync.Mutex
	rules []rule // used entries of Reply are cut off
}

// pick gives the reply of the first rule that fits and has any left, else the
// zero reply, which is success.
func (s *script) pick(m *message) (reply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.rules {
		r := &s.rules[i]
		fits, err := r.When.fits(m)
		if err != nil {
			return reply{}, err
		}
		if !fits || len(r.Reply) == 0 {
			continue
		}
		next := r.Reply[0]
		if !r.Repeat || len(r.Reply) > 1 {
			r.Reply = r.Reply[1:]
		}
		return next, nil
	}
	return reply{}, nil
}

func (c *condition) fits(m *message) (bool, error) {
	target := m.headerValue("x-amz-target")
	if c.Target != "" && c.Target != target[strings.LastIndexByte(target, '.')+1:] ||
		c.Method != "" && c.Method != m.method {
		return false, nil
	}
	for _, p := range []struct{ pattern, text string }{{c.Path, m.target}, {c.Body, string(m.plain)}} {
		if ok, err := regexp.MatchString(p.pattern, p.text); !ok {
			return false, err
		}
	}
	return true, nil
}

// listener is one server that a case plays. Its goroutines end with close.
type listener struct {
	spec    listenerSpec
	port    int
	kind    kind
	script  script
	journal *journal
	ctx     context.Context
	closing []func()
	running sync.WaitGroup

	mu    sync.Mutex
	notes []string // what went wrong below the protocol
}

// listen opens a listener; cert counts for protocols with TLS.
func listen(spec listenerSpec, c *testCase, j *journal, cert tls.Certificate) (*listener, error) {
	l := &listener{spec: spec, journal: j, script: script{rules: spec.Replies}}
	var err error
	if l.kind, err = newKind(spec.Kind, c); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.ctx, l.closing = ctx, []func(){cancel}
	if err := l.open(cert); err != nil {
		cancel()
		return nil, fmt.Errorf("listener %s: %w", spec.Name, err)
	}
	return l, nil
}

func (l *listener) open(cert tls.Certificate) error {
	address := net.JoinHostPort(l.spec.Addr, strconv.Itoa(l.spec.Port))
	if l.spec.Proto == "udp" {
		c, err := net.ListenPacket("udp", address)
		if err != nil {
			return err
		}
		l.port = c.LocalAddr().(*net.UDPAddr).Port
		l.closing = append(l.closing, func() { c.Close() })
		l.running.Go(func() { l.datagrams(c) })
		return nil
	}
	var serve func(net.Listener)
	secure := false
	switch l.spec.Proto {
	case "https":
		secure = true
		fallthrough
	case "http":
		serve = l.serveHTTP
	case "tls":
		secure = true
		fallthrough
	case "tcp":
		serve = func(ln net.Listener) { l.accept(ln, l.stream) }
	case "forward+tls":
		secure = true
		fallthrough
	case "forward":
		serve = func(ln net.Listener) { l.accept(ln, l.forward) }
	default:
		return fmt.Errorf("case.json: unknown proto %q", l.spec.Proto)
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	l.port = ln.Addr().(*net.TCPAddr).Port
	l.closing = append(l.closing, func() { ln.Close() })
	if secure {
		ln = tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}})
	}
	l.running.Go(func() { serve(ln) })
	return nil
}

// accept serves each connection in a goroutine until the listener is closed.
func (l *listener) accept(ln net.Listener, serve func(net.Conn)) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		l.running.Go(func() {
			defer c.Close()
			defer context.AfterFunc(l.ctx, func() { c.Close() })()
			if c, ok := c.(*tls.Conn); ok {
				if err := c.HandshakeContext(l.ctx); err != nil {
					l.note("TLS: " + err.Error())
					return
				}
			}
			serve(c)
		})
	}
}

func (l *listener) note(s string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() == nil && len(l.notes) < 5 {
		l.notes = append(l.notes, l.spec.Name+": "+s)
	}
}

// close ends all connections and waits for their goroutines.
func (l *listener) close() {
	for _, f := range l.closing {
		f()
	}
	l.running.Wait()
}

// certificate makes a certificate for localhost that is its own authority, and
// writes it to a file.
func certificate(t *testing.T) (cert tls.Certificate, file string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "tls.crt")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

// played opens the listener of a case and gives what it hears.
func played(t *testing.T, meta string, cert tls.Certificate) (*listener, *journal) {
	t.Helper()
	c := new(testCase)
	if err := json.Unmarshal([]byte(meta), c); err != nil {
		t.Fatal(err)
	}
	j := new(journal)
	l, err := listen(c.listeners()[0], c, j, cert)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	return l, j
}

// heard waits for n messages.
func heard(t *testing.T, j *journal, n int) []*message {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if got, _ := j.state(); got >= n {
			break
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.messages) != n {
		t.Fatalf("%d messages came, want %d", len(j.messages), n)
	}
	return j.messages
}

func TestTLSListener(t *testing.T) {
	cert, file := certificate(t)
	l, j := played(t, `{"proto":"tls"}`, cert)
	pem, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	address := fmt.Sprintf("127.0.0.1:%d", l.port)
	c, err := tls.Dial("tcp", address, &tls.Config{RootCAs: roots})
	if err != nil {
		t.Fatalf("the certificate is not valid for 127.0.0.1: %v", err)
	}
	_, _ = io.WriteString(c, "hello")
	c.Close()
	if m := heard(t, j, 1)[0]; string(m.raw) != "hello" || m.proto != "tcp" {
		t.Errorf("kept %+v", m)
	}
	if _, err := tls.Dial("tcp", address, &tls.Config{RootCAs: x509.NewCertPool()}); err == nil {
		t.Error("a stranger trusts the certificate")
	}
}
