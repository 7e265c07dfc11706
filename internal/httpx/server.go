package httpx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	stdlog "log"

	"github.com/kagarilog/kagari/internal/netx"
	"github.com/kagarilog/kagari/option"
)

// Server is the options of inputs that speak HTTP. Its zero value is of no
// use; Fields sets the defaults. It must not be copied once it serves.
type Server struct {
	HTTP2          bool
	IdleTimeout    time.Duration
	BufferMaxSize  int64 // of a request, in bytes
	BufferChunk    int64 // accepted only, like the next three
	Workers        int
	IngressEvents  int64
	IngressBytes   int64
	MaxConnections int64
	BodyMaxSize    int64         // of a decoded body, in bytes
	BusyTimeout    time.Duration // how long a request waits for the router

	once  sync.Once
	slots chan struct{} // one for each body that is decoded and held
	large chan struct{} // one for a body that is larger than smallBody when decoded
}

// Fields binds the options.
func (s *Server) Fields() []option.Field {
	return []option.Field{
		option.Bool(&s.HTTP2, "http_server.http2", true,
			"Accept HTTP/2 too: by TLS negotiation, and without TLS from clients that know it beforehand.").WithAliases("http2"),
		option.Seconds(&s.IdleTimeout, "http_server.idle_timeout", "10s",
			"Close a connection that sends nothing for this time. 0 means never."),
		option.Size(&s.BufferMaxSize, "http_server.buffer_max_size", "4M",
			"Largest body as it is sent; a larger one is answered with 413.").WithAliases("buffer_max_size"),
		option.Size(&s.BufferChunk, "http_server.buffer_chunk_size", "512K",
			"Accepted for compatibility; buffers grow as they are needed.").WithAliases("buffer_chunk_size"),
		option.Size(&s.MaxConnections, "http_server.max_connections", "0",
			"Most connections at the same time. 0 means no limit.").WithUnit("connections").WithAliases("max_connections"),
		option.Int(&s.Workers, "http_server.workers", 1,
			"Accepted for compatibility; requests are always served side by side."),
		option.Size(&s.IngressEvents, "http_server.ingress_queue_event_limit", "8192",
			"Accepted for compatibility; Mem_Buf_Limit is the limit.").WithUnit("events"),
		option.Size(&s.IngressBytes, "http_server.ingress_queue_byte_limit", "256M",
			"Accepted for compatibility; Mem_Buf_Limit is the limit."),
		option.Size(&s.BodyMaxSize, "http_server.body_max_size", "32M",
			"Largest body after decompression; a larger one is answered with 413.").WithOurs(),
		option.Seconds(&s.BusyTimeout, "http_server.busy_timeout", "10s",
			"How long a request waits while no more can be taken in; then it is answered with 503, and the client should send it again.").WithOurs(),
	}
}

// smallBody is the size up to which decoded bodies are held side by side, in
// bytes.
const smallBody = 4 << 20

// Limits where an option is 0 or less; the first is Fluent Bit's.
const (
	defaultBufferMax = 10 * 1000 * 1024
	defaultBodyMax   = 32 << 20
)

func limit(option, def int64) int64 {
	if option <= 0 {
		return def
	}
	return option
}

// ALPN is what to offer in the TLS handshake.
func (s *Server) ALPN() []string {
	if s.HTTP2 {
		return []string{"h2", "http/1.1"}
	}
	return []string{"http/1.1"}
}

// Times and sizes that have no option. A peer that sends its header or body
// slower than this is cut off.
const (
	headerTimeout = 10 * time.Second
	headerLimit   = 64 << 10
	bodyTimeout   = 60 * time.Second // plus a second for each bodyRate bytes
	bodyRate      = 32 << 10
	bodyIdle      = 30 * time.Second // where http_server.idle_timeout is 0
	answerTimeout = 30 * time.Second // to send the answer
	shutdownTime  = 5 * time.Second  // for requests under way when the input ends
	shutdownStart = 50 * time.Millisecond
	shutdownPause = time.Second // of the peer in a body, then
)

// Serve answers requests with h until ctx ends, which is also the end of the
// contexts of requests; it returns when all of them are done. reject counts
// what never became a request, by reason.
func (s *Server) Serve(ctx context.Context, l *netx.Listener, h http.Handler, log *slog.Logger, reject func(reason string)) error {
	ps := &peers{log: log, reject: reject, all: map[net.Conn]*peer{}}
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ps.request(r)
			// The limit for the answer to the request before is not this one's.
			_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
			h.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       s.IdleTimeout,
		MaxHeaderBytes:    headerLimit,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext:       ps.context,
		ConnState:         ps.state,
		ErrorLog:          stdlog.New(&errorLog{log, reject}, "", 0),
		Protocols:         &http.Protocols{},
	}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetHTTP2(s.HTTP2)
	srv.Protocols.SetUnencryptedHTTP2(s.HTTP2)
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		grace, cancel := context.WithTimeout(context.Background(), shutdownTime)
		defer cancel()
		// A request that begins after Shutdown has would not be answered, so the
		// peers that have begun none need not be waited for.
		late := time.AfterFunc(shutdownStart, ps.closeWaiting)
		defer late.Stop()
		if srv.Shutdown(grace) != nil {
			_ = srv.Close()
		}
	})
	err := srv.Serve(l)
	if !stop() {
		<-ended
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	_ = srv.Close()
	return err
}

// errorLog takes the messages that the server of the standard library writes
// as text.
type errorLog struct {
	log    *slog.Logger
	reject func(string)
}

func (e *errorLog) Write(p []byte) (int, error) {
	text := strings.TrimSpace(string(p))
	if strings.Contains(text, "TLS handshake error") {
		e.reject("tls_handshake")
		e.log.Error("TLS handshake failed", "error", strings.TrimPrefix(text, "http: TLS handshake error from "))
	} else {
		e.log.Warn("HTTP server", "message", text)
	}
	return len(p), nil
}

// WithBody reads the body of a request, decodes it and calls f with it; the
// bytes are only valid in f. Only so many bodies are decoded and held at a time
// as can be worked on, so that compressed bodies and a router that takes no more
// cannot fill the memory; a request that gets no turn within
// http_server.busy_timeout is refused. The context for f ends at the same time.
//
// Errors of the request are of type *RequestError, others are those of f.
func (s *Server) WithBody(w http.ResponseWriter, r *http.Request, f func(ctx context.Context, body []byte) error) error {
	raw := getBuffer()
	defer putBuffer(raw)
	if err := s.readBody(w, r, raw); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(r.Context(), s.busyTimeout(), ErrBusy)
	defer cancel()
	s.once.Do(func() {
		s.slots = make(chan struct{}, max(2, runtime.GOMAXPROCS(0)))
		s.large = make(chan struct{}, 1)
	})
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return Busy(context.Cause(ctx))
	}
	defer func() { <-s.slots }()
	body := raw
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		body = getBuffer()
		defer func() { putBuffer(body) }()
		most := limit(s.BodyMaxSize, defaultBodyMax)
		err := decode(body, raw.Bytes(), e, min(most, smallBody))
		if err == errTooLarge && most > smallBody {
			// One large body at a time, in a buffer that fits.
			select {
			case s.large <- struct{}{}:
				defer func() { <-s.large }()
			case <-ctx.Done():
				return Busy(context.Cause(ctx))
			}
			var n int
			if n, err = decodedSize(raw.Bytes(), e, most); err == nil {
				putBuffer(body)
				body = bytes.NewBuffer(make([]byte, 0, n+bytes.MinRead))
				err = decode(body, raw.Bytes(), e, most)
			}
		}
		if err != nil {
			return explainDecode(err, e, most)
		}
	}
	return f(ctx, body.Bytes())
}

func (s *Server) busyTimeout() time.Duration {
	if s.BusyTimeout <= 0 {
		return 365 * 24 * time.Hour
	}
	return s.BusyTimeout
}

// ErrBusy is the cause of the end of WithBody's context after
// http_server.busy_timeout.
var ErrBusy = errors.New("no more can be taken in at the moment")

// Busy makes the error for a request that cannot be taken in now.
func Busy(cause error) error {
	return refuse(http.StatusServiceUnavailable, "busy", "%w", cause)
}

// readBody reads the body as it was sent. Each read has the idle timeout and
// all of them together the time that a slow but honest client needs.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request, dst *bytes.Buffer) error {
	most := limit(s.BufferMaxSize, defaultBufferMax)
	if r.ContentLength > most {
		w.Header().Set("Connection", "close")
		return refuse(http.StatusRequestEntityTooLarge, "body_too_large", "the body is larger than %d bytes", most)
	}
	idle := s.IdleTimeout
	if idle <= 0 {
		idle = bodyIdle
	}
	rc := http.NewResponseController(w)
	hasten := func() { _ = rc.SetReadDeadline(time.Now().Add(shutdownPause)) }
	hastened := make(chan struct{})
	stop := context.AfterFunc(r.Context(), func() { defer close(hastened); hasten() })
	defer func() {
		if !stop() {
			<-hastened // rc must not be used once the request is over
		}
	}()
	start := time.Now()
	// MaxBytesReader also tells the server to close the connection.
	body := http.MaxBytesReader(w, r.Body, most)
	if r.ContentLength > 0 {
		dst.Grow(int(min(r.ContentLength+bytes.MinRead, 256<<10)))
	}
	for {
		end := start.Add(bodyTimeout + time.Duration(dst.Len()/bodyRate)*time.Second)
		if next := time.Now().Add(idle); next.Before(end) {
			end = next
		}
		_ = rc.SetReadDeadline(end) // without it the limit is only the connection's
		if ending(r) {
			hasten()
		}
		dst.Grow(bytes.MinRead)
		n, err := body.Read(dst.AvailableBuffer()[:dst.Available()])
		dst.Write(dst.AvailableBuffer()[:n])
		var tooLarge *http.MaxBytesError
		switch {
		case err == nil:
			continue
		case err == io.EOF:
			_ = rc.SetReadDeadline(time.Time{})
			_ = rc.SetWriteDeadline(time.Now().Add(s.busyTimeout() + answerTimeout))
			return nil
		case errors.As(err, &tooLarge):
			return refuse(http.StatusRequestEntityTooLarge, "body_too_large", "the body is larger than %d bytes", most)
		case errors.Is(err, os.ErrDeadlineExceeded) && ending(r):
			return refuse(http.StatusServiceUnavailable, "body_cut_off", "the body did not arrive before the end of the input")
		case errors.Is(err, os.ErrDeadlineExceeded):
			return refuse(http.StatusRequestTimeout, "body_too_slow", "the body did not arrive in time")
		}
		return refuse(http.StatusBadRequest, "body_cut_off", "read the body: %w", err)
	}
}

// Answer writes the answer to a request that failed: the status and text of a
// *RequestError, else 500.
func Answer(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	var re *RequestError
	if errors.As(err, &re) {
		status = re.Status
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	switch status {
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", "1")
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", "Bearer")
	}
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "error: %v\n", err)
}
