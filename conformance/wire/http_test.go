package wire

import (
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// comparedHeaders are those that count in every case; case.json can name more.
var comparedHeaders = []string{
	"content-type", "content-encoding", "x-amz-target", "x-amzn-logs-format",
	"dd-api-key", "dd-evp-origin", "x-license-key", "x-insert-key", "api-key",
	"x-amz-acl", "x-amz-storage-class", "x-amz-security-token",
	"x-scope-orgid", "x-splunk-request-channel",
}

// serveHTTP answers requests until the listener is closed.
func (l *listener) serveHTTP(ln net.Listener) {
	srv := &http.Server{
		Handler:  http.HandlerFunc(l.handle),
		ErrorLog: log.New(noteWriter{l}, "", 0),
		ConnState: func(_ net.Conn, s http.ConnState) {
			switch s {
			case http.StateNew:
				l.running.Add(1)
			case http.StateClosed, http.StateHijacked:
				l.running.Done()
			}
		},
	}
	l.running.Go(func() {
		<-l.ctx.Done()
		srv.Close()
	})
	_ = srv.Serve(ln)
}

// noteWriter takes the log of the server.
type noteWriter struct{ l *listener }

func (w noteWriter) Write(b []byte) (int, error) {
	w.l.note(strings.TrimSpace(string(b)))
	return len(b), nil
}

// handle keeps the request and sends the scripted answer.
func (l *listener) handle(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		l.note("read a request: " + err.Error())
		panic(http.ErrAbortHandler)
	}
	m := &message{
		listener: l.spec.Name, proto: l.spec.Proto, raw: raw, plain: raw,
		method: r.Method, target: r.RequestURI, header: map[string][]string{"host": {r.Host}},
	}
	for k, v := range r.Header {
		m.header[strings.ToLower(k)] = v
	}
	encoding := strings.ToLower(m.headerValue("content-encoding"))
	if plain, err := decompress(encoding, raw); err != nil {
		m.problem = fmt.Sprintf("cannot undo %s: %v", encoding, err)
	} else {
		m.plain = plain
	}
	rep, err := l.script.pick(m)
	if err != nil {
		l.note(err.Error())
	}
	a, err := success(l.kind, m, rep)
	if err != nil {
		m.problem = fmt.Sprintf("body not understood: %v", err)
	}
	m.status, m.refused = a.status, a.refused
	l.journal.add(m)
	select {
	case <-time.After(seconds(&rep.Delay, 0)):
	case <-l.ctx.Done():
	}
	if rep.Drop {
		panic(http.ErrAbortHandler) // closes the connection
	}
	h := w.Header()
	h["Date"], h["Content-Type"] = nil, nil // nothing is added by itself
	for k, v := range a.header {
		h.Set(k, v)
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}

// request describes a request. Headers that only have to be right are checked
// here and not compared.
func (j *judge) request(x *exchange, m *message, k kind, name string) {
	path, query, _ := strings.Cut(m.target, "?")
	if p, err := url.PathUnescape(path); err == nil {
		path = p
	}
	headers := map[string]any{}
	x.call = map[string]any{"method": m.method, "path": path, "headers": headers, "reply": num(m.status)}
	for _, h := range slices.Concat(comparedHeaders, j.c.Headers) {
		h = strings.ToLower(h)
		switch v := m.header[h]; len(v) {
		case 0:
		case 1:
			headers[h] = v[0]
		default:
			headers[h] = anyOf(v)
		}
	}
	if sum := m.headerValue("content-md5"); sum != "" {
		right := md5.Sum(m.raw)
		headers["content-md5"] = "<valid>"
		if sum != base64.StdEncoding.EncodeToString(right[:]) {
			headers["content-md5"] = "does not match the body"
		}
	}
	if query != "" {
		x.call["query"] = parameters(query)
	}
	if auth := m.headerValue("authorization"); auth != "" {
		x.call["auth"] = auth
	}
	if m.problem != "" {
		x.call["problem"] = m.problem
		return
	}
	if err := k.read(x, m, bytes.Clone(m.plain)); err != nil {
		x.call["problem"] = fmt.Sprintf("body not understood as %s: %v", name, err)
		x.call["body"] = abridged(decodeText(m.plain))
		x.events = nil
	}
}

// parameters reads a query string or form; the last value of a name counts.
func parameters(query string) map[string]any {
	values, err := url.ParseQuery(query)
	if err != nil {
		return map[string]any{"$malformed": query}
	}
	out := map[string]any{}
	for k, v := range maps.All(values) {
		out[k] = v[len(v)-1]
	}
	return out
}

func anyOf[T any](in []T) []any {
	out := make([]any, len(in))
	for i, x := range in {
		out[i] = x
	}
	return out
}

func TestScriptedReplies(t *testing.T) {
	l, j := played(t, `{"replies":[
		{"when":{"path":"^/x","method":"PUT"},"reply":[{"status":403,"headers":{"X-Why":"no"},"body":{"a":1}}],"repeat":true},
		{"when":{"body":"hello"},"reply":[{"status":500},{"error":"SlowDown"},{"status":0,"drop":true}]}]}`, tls.Certificate{})
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	f := func(method, path, body, want string) {
		t.Helper()
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, _ = io.WriteString(z, body)
		_ = z.Close()
		req, err := http.NewRequest(method, fmt.Sprintf("http://127.0.0.1:%d%s", l.port, path), &packed)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Encoding", "gzip")
		resp, err := client.Do(req)
		got := "dropped"
		if err == nil {
			text, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			got = fmt.Sprintf("%d %s %s", resp.StatusCode, resp.Header.Get("X-Why"), text)
		}
		if got != want {
			t.Errorf("%s %s: got %q, want %q", method, path, got, want)
		}
	}
	f("PUT", "/x", "hello", `403 no {"a":1}`)
	f("PUT", "/x", "hello", `403 no {"a":1}`)
	f("POST", "/x", "hello", "500  ")
	f("POST", "/x", "other", "200  ")
	f("POST", "/y?q=1", "hello", `400  {"__type":"SlowDown","message":"test"}`)
	f("PUT", "/y", "hello", "dropped")
	f("PUT", "/y", "hello", "200  ")
	m := heard(t, j, 7)[4]
	if string(m.plain) != "hello" || m.target != "/y?q=1" || m.status != 400 || m.problem != "" {
		t.Errorf("the request was kept as %+v", m)
	}
}
