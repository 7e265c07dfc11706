package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// sink is an HTTP server that takes records as JSON, in any arrangement, and
// checks that each sequence number arrives exactly once. It answers as the
// service would that usually has the path of the request.
type sink struct {
	*seen
	listener net.Listener
	server   *http.Server
	done     chan struct{}
	once     sync.Once
	complete chan struct{} // closed when all numbers have arrived
	pool     sync.Pool     // of *sinkBuffers

	mu       sync.Mutex
	firstErr error
}

// sinkBuffers is what one request needs.
type sinkBuffers struct {
	raw, plain bytes.Buffer
	gz         gzip.Reader
}

// newSink starts a sink for n records on a free port.
func newSink(n int) (*sink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the sink: %w", err)
	}
	s := &sink{
		seen: newSeen(n), listener: l,
		done: make(chan struct{}), complete: make(chan struct{}),
		pool: sync.Pool{New: func() any { return new(sinkBuffers) }},
	}
	s.server = &http.Server{Handler: s}
	go func() {
		defer close(s.done)
		_ = s.server.Serve(l) // It ends with the bench.
	}()
	return s, nil
}

func (s *sink) port() int { return s.listener.Addr().(*net.TCPAddr).Port }

// close stops the server and returns the first error of a request.
func (s *sink) close() error {
	s.server.Close()
	<-s.done
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.firstErr
}

// ServeHTTP takes one request.
func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := s.take(r); err != nil {
		s.mu.Lock()
		if s.firstErr == nil {
			s.firstErr = fmt.Errorf("request %s %s: %w", r.Method, r.URL.Path, err)
		}
		s.mu.Unlock()
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	switch {
	case strings.HasSuffix(r.URL.Path, "/_bulk"):
		_, _ = io.WriteString(w, `{"took":1,"errors":false,"items":[]}`)
	case strings.HasSuffix(r.URL.Path, "/logs") && strings.HasPrefix(r.URL.Path, "/api/"):
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, "{}")
	}
}

// take reads the records of a request.
func (s *sink) take(r *http.Request) error {
	b := s.pool.Get().(*sinkBuffers)
	defer s.pool.Put(b)
	b.raw.Reset()
	if _, err := b.raw.ReadFrom(r.Body); err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	body := b.raw.Bytes()
	switch encoding := r.Header.Get("Content-Encoding"); encoding {
	case "":
	case "gzip":
		b.plain.Reset()
		if err := b.gz.Reset(&b.raw); err != nil {
			return fmt.Errorf("open gzip: %w", err)
		}
		if _, err := b.plain.ReadFrom(&b.gz); err != nil {
			return fmt.Errorf("read gzip: %w", err)
		}
		body = b.plain.Bytes()
	default:
		return fmt.Errorf("content encoding %q: only gzip is known", encoding)
	}
	if s.addAll(body) == 0 {
		return errors.New("no records in the body")
	}
	if s.unique.Load() == int64(s.n) {
		s.once.Do(func() { close(s.complete) })
	}
	return nil
}
