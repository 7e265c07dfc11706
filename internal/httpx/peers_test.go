package httpx

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kagarilog/kagari/internal/netx"
	"github.com/kagarilog/kagari/internal/netx/netxtest"
)

// A peer whose bytes never became a request is counted; one that went in peace
// is not.
func TestServerCountsPeersWithoutAValidHeader(t *testing.T) {
	ca := netxtest.NewCA(t)
	cert, key := ca.Issue("server", "127.0.0.1")
	accept := func(context.Context, []byte) error { return nil }
	addr, _, rejected := startServer(t, accept)
	secure, _, rejectedSecure := startServer(t, accept, "tls", "on", "tls.crt_file", cert, "tls.key_file", key)

	talk := func(c net.Conn, err error, text string, answers int) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		fmt.Fprint(c, text)
		buf := make([]byte, 4096)
		for got := 0; got < answers; {
			n, err := c.Read(buf)
			if got += bytes.Count(buf[:n], []byte("HTTP/1.1 ")); err != nil && got < answers {
				t.Errorf("%q: %d answers, %v", text, got, err)
				return
			}
		}
	}
	const request = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
	f := func(text string, answers, want int) {
		t.Helper()
		before, beforeSecure := rejected(), rejectedSecure()
		c, err := net.Dial("tcp", addr)
		talk(c, err, text, answers)
		s, err := tls.Dial("tcp", secure, &tls.Config{RootCAs: ca.Pool, NextProtos: []string{"http/1.1"}})
		talk(s, err, text, answers)
		done := func() bool {
			return len(strings.Fields(rejected())) >= len(strings.Fields(before))+want &&
				len(strings.Fields(rejectedSecure())) >= len(strings.Fields(beforeSecure))+want
		}
		for end := time.Now().Add(5 * time.Second); want > 0 && !done() && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		counted := strings.Fields(strings.TrimPrefix(rejected(), before))
		countedSecure := strings.Fields(strings.TrimPrefix(rejectedSecure(), beforeSecure))
		if len(counted) != want || len(countedSecure) != want || want == 1 && (counted[0] != "bad_header" || countedSecure[0] != "bad_header") {
			t.Errorf("%q: counted %q, with TLS %q, want %d", text, counted, countedSecure, want)
		}
	}
	f("P", 0, 1)
	f("POST / HTTP/1.1\r\nHost: x\r\nContent-Le", 0, 1)
	f("this is no header\r\n\r\n", 1, 1)
	f("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: odd\r\n\r\n", 1, 1)
	f(request+"POST / HTTP/1.1\r\nContent-Le", 1, 0) // came before the first was answered
	f("", 0, 0)
	f(request, 1, 0)
	f(request+request, 2, 0)

	before := rejected()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(c, request)
	_, _ = io.ReadFull(c, make([]byte, 12))
	time.Sleep(50 * time.Millisecond)
	fmt.Fprint(c, "POST / HT")
	c.Close()
	for end := time.Now().Add(5 * time.Second); rejected() == before && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if got := strings.TrimSpace(strings.TrimPrefix(rejected(), before)); got != "bad_header" {
		t.Errorf("the half of a second request: counted %q", got)
	}
}

func TestServerCountsNothingForHTTP2(t *testing.T) {
	addr, _, rejected := startServer(t, func(context.Context, []byte) error { return nil })
	tr := &http.Transport{Protocols: &http.Protocols{}}
	tr.Protocols.SetUnencryptedHTTP2(true)
	for range 3 {
		resp, err := (&http.Client{Transport: tr}).Post("http://"+addr, "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		tr.CloseIdleConnections()
	}
	time.Sleep(50 * time.Millisecond)
	if got := rejected(); got != "" {
		t.Errorf("counted %q", got)
	}
}

// The end of a server waits neither for peers that have begun no request nor
// for one that has stopped inside a body.
func TestSilentPeersDoNotHoldUpTheEnd(t *testing.T) {
	f := func(text string, limit time.Duration, wantAnswer, wantReason string) {
		t.Helper()
		s := &Server{}
		s.Fields()
		ns := &netx.Server{}
		ns.Fields()
		l, err := ns.Listen(t.Context(), "tcp", "127.0.0.1:0", netx.ListenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var reason atomic.Value
		started := make(chan struct{}, 1)
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			started <- struct{}{}
			err := s.WithBody(w, r, func(context.Context, []byte) error { return nil })
			reason.Store(err.(*RequestError).Reason)
			Answer(w, err)
		})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error, 1)
		go func() {
			done <- s.Serve(ctx, l, h, slog.New(slog.DiscardHandler), func(r string) { reason.Store(r) })
		}()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, text)
		if strings.Contains(text, "\r\n\r\n") {
			<-started
		} else {
			time.Sleep(50 * time.Millisecond)
		}
		begin := time.Now()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if took := time.Since(begin); took > limit {
			t.Errorf("%q: the end took %v", text, took)
		}
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		answer, _ := io.ReadAll(c)
		got, _ := reason.Load().(string)
		if !strings.HasPrefix(string(answer), wantAnswer) || wantAnswer == "" && len(answer) > 0 || got != wantReason {
			t.Errorf("%q: answered %q, counted %q", text, answer, got)
		}
	}
	f("", time.Second, "", "")
	f("POST / HTTP/1.1\r\nHost: x", time.Second, "", "bad_header")
	f("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf", 3*time.Second, "HTTP/1.1 503", "body_cut_off")
}
