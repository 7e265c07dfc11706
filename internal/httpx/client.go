package httpx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kagarilog/kagari/internal/netx"
)

// UserAgent is sent unless a request has its own. It is Fluent Bit's, because
// servers and dashboards tell senders apart by it.
const UserAgent = "Fluent-Bit"

// ClientOptions is what a client may be told beside the net.* options. All of
// it may be left out.
type ClientOptions struct {
	// ResponseTimeout is the longest time from the end of the request to the
	// header of the answer, and then to its end. 0 means DefaultResponseTimeout,
	// less than 0 no limit.
	ResponseTimeout time.Duration
	// ReadIdleTimeout is the longest time between two reads of an answer; 0 means
	// net.io_timeout.
	ReadIdleTimeout time.Duration
	// UnixPath is a unix socket to connect to, whatever host the URL names.
	UnixPath string
	// Proxy is an HTTP proxy, http://[user:password@]host:port, instead of the one
	// of the environment. It is asked for plain http by the full URL, and for a
	// tunnel for https.
	Proxy string
	// OAuth2 puts a token into every request.
	OAuth2 *TokenSource
}

// DefaultResponseTimeout is that of Fluent Bit's HTTP client.
const DefaultResponseTimeout = 60 * time.Second

// Client sends HTTP/1.1 requests over kept connections. It is safe for
// concurrent use.
type Client struct {
	transport *http.Transport
	response  time.Duration // 0 for no limit
	readIdle  time.Duration // 0 for no limit
	tokens    *TokenSource
	uses      int          // of a connection; 0 for no limit
	sent      atomic.Int64 // requests
	open      atomic.Int64 // connections
}

// NewClient makes a client; it opens nothing.
func NewClient(d *netx.Dialer, o ClientOptions) (*Client, error) {
	net := d.Options()
	c := &Client{response: o.ResponseTimeout, readIdle: o.ReadIdleTimeout, tokens: o.OAuth2, uses: net.KeepaliveUses}
	if c.response == 0 {
		c.response = DefaultResponseTimeout
	}
	c.response = max(c.response, 0)
	if c.readIdle == 0 {
		c.readIdle = net.IOTimeout
	}
	// The transport reads all the time, also from idle connections, so that the
	// limits for reading are set around it; one for writing that makes no progress
	// is always needed.
	stall := net.IOTimeout
	if stall == 0 {
		stall = c.response
	}
	d = d.WithLimits(0, stall).Counted(&c.open)
	t := &http.Transport{
		DisableKeepAlives:      !net.Keepalive || net.KeepaliveIdle <= 0,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        net.KeepaliveIdle,
		ResponseHeaderTimeout:  shorter(c.response, c.readIdle),
		MaxResponseHeaderBytes: maxHeader,
		WriteBufferSize:        32 << 10,
		TLSHandshakeTimeout:    0, // net.connect_timeout covers it
	}
	if o.Proxy != "" {
		u, err := url.Parse(o.Proxy)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, errors.New("the proxy is not of the form http://host:port")
		}
		tunnel, err := d.WithProxy(o.Proxy)
		if err != nil {
			return nil, err
		}
		if d, err = d.WithProxy(""); err != nil {
			return nil, err
		}
		t.DialTLSContext = tunnel.DialTLS
		t.Proxy = func(r *http.Request) (*url.URL, error) {
			if r.URL.Scheme == "https" {
				return nil, nil // the dialer makes the tunnel
			}
			return u, nil
		}
	} else {
		t.DialTLSContext = d.DialTLS
	}
	t.DialContext = d.DialPlain
	if o.UnixPath != "" {
		t.DialContext = dialUnix(d.DialPlain, o.UnixPath)
		t.DialTLSContext = dialUnix(d.DialTLS, o.UnixPath)
	}
	c.transport = t
	return c, nil
}

// Connections is how many connections are open, idle or in use.
func (c *Client) Connections() int { return int(c.open.Load()) }

// maxHeader bounds the header of an answer, in bytes.
const maxHeader = 256 << 10

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

func dialUnix(dial dialFunc, path string) dialFunc {
	return func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, "unix", path) }
}

// shorter returns the shorter of two limits, of which 0 is none.
func shorter(a, b time.Duration) time.Duration {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// Close closes the idle connections.
func (c *Client) Close() error {
	c.transport.CloseIdleConnections()
	return nil
}

// Request is one request with its whole body.
type Request struct {
	Method string
	URL    *url.URL
	// Header is sent as it is, without changing the case of names, except that
	// Host and Content-Length are the client's own.
	Header http.Header
	Host   string // instead of the URL's, or ""
	// Body is only read until Do returns.
	Body []byte
	// MaxAnswer is how much of the answer's body is kept, in bytes; 0 means
	// DefaultMaxAnswer.
	MaxAnswer int
}

// DefaultMaxAnswer is enough for messages of errors, in bytes.
const DefaultMaxAnswer = 64 << 10

// maxDrain is how much more of an answer is read, only to use the connection
// again, in bytes.
const maxDrain = 256 << 10

// Response is the answer to a request.
type Response struct {
	Status    int
	Header    http.Header
	Body      []byte
	Truncated bool // there was more than MaxAnswer
}

// Do sends a request and reads the answer. Redirects are answers like others.
// A kept connection that turns out to be dead is replaced without an error.
func (c *Client) Do(ctx context.Context, r *Request) (*Response, error) {
	if c.tokens == nil {
		return c.do(ctx, r, "")
	}
	for again := false; ; again = true {
		token, err := c.tokens.Token(ctx)
		if err != nil {
			return nil, err
		}
		resp, err := c.do(ctx, r, "Bearer "+token)
		if err != nil || resp.Status != http.StatusUnauthorized || again {
			return resp, err
		}
		// The server may have revoked it before its time: one more try with a new one.
		c.tokens.Invalidate(token)
	}
}

// errReadIdle and errResponse are causes of a cancelled read.
var (
	errReadIdle = errors.New("the answer stopped coming")
	errResponse = errors.New("the answer took too long")
)

func (c *Client) do(ctx context.Context, r *Request, auth string) (*Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	body := &sharedBody{data: r.Body}
	defer body.detach()
	req := (&http.Request{
		Method: r.Method, URL: r.URL, Host: r.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: c.header(r, auth),
		// As often as connections should be renewed, one is given up after use.
		Close: c.uses > 0 && c.sent.Add(1)%int64(c.uses) == 0,
	}).WithContext(ctx)
	if len(r.Body) > 0 {
		req.ContentLength = int64(len(r.Body))
		req.GetBody = func() (io.ReadCloser, error) { return &bodyReader{shared: body}, nil }
		req.Body, _ = req.GetBody()
	} else {
		req.Body = http.NoBody
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return nil, c.explain(r, err)
	}
	defer resp.Body.Close()
	out := &Response{Status: resp.StatusCode, Header: resp.Header}
	if err := c.readAnswer(ctx, cancel, r, resp.Body, out); err != nil {
		if cause := context.Cause(ctx); cause == errReadIdle || cause == errResponse {
			err = cause
		}
		// The status line tells what became of the request; a text that is cut
		// short changes nothing about it.
		out.Truncated = true
		if ctx.Err() != nil && context.Cause(ctx) != errReadIdle && context.Cause(ctx) != errResponse {
			return nil, c.explain(r, err)
		}
	}
	return out, nil
}

// header returns what is sent. A nil value for Idempotency-Key is not sent; it
// tells the transport that the request may be repeated on another connection
// when a kept one breaks before the first byte of an answer: sending again is
// what would happen anyway, a moment later.
func (c *Client) header(r *Request, auth string) http.Header {
	h := make(http.Header, len(r.Header)+3)
	for k, v := range r.Header {
		h[k] = v
	}
	h["Idempotency-Key"] = nil
	if _, ok := h["User-Agent"]; !ok {
		h["User-Agent"] = []string{UserAgent}
	}
	if auth != "" {
		for k := range h {
			if http.CanonicalHeaderKey(k) == "Authorization" {
				delete(h, k)
			}
		}
		h["Authorization"] = []string{auth}
	}
	return h
}

func (c *Client) readAnswer(ctx context.Context, cancel context.CancelCauseFunc, r *Request, body io.Reader, out *Response) error {
	if c.response > 0 {
		defer time.AfterFunc(c.response, func() { cancel(errResponse) }).Stop()
	}
	if c.readIdle > 0 {
		timer := time.AfterFunc(c.readIdle, func() { cancel(errReadIdle) })
		defer timer.Stop()
		body = &resettingReader{body, func() { timer.Reset(c.readIdle) }}
	}
	limit := int64(r.MaxAnswer)
	if limit == 0 {
		limit = DefaultMaxAnswer
	}
	var err error
	if out.Body, err = io.ReadAll(io.LimitReader(body, limit)); err != nil {
		return err
	}
	n, err := io.CopyN(io.Discard, body, maxDrain)
	out.Truncated = n > 0
	if err == io.EOF {
		err = nil
	}
	return err
}

type resettingReader struct {
	io.Reader
	reset func()
}

func (r *resettingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.reset()
	return n, err
}

// explain says what was tried and, for timeouts, which option ended it.
func (c *Client) explain(r *Request, err error) error {
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() && !errors.Is(err, netx.ErrConnectTimeout) && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s %s: no answer in time: %w", r.Method, r.URL.Redacted(), err)
	}
	return fmt.Errorf("%s %s: %w", r.Method, r.URL.Redacted(), err)
}

// sharedBody is the body of a request whose owner takes it back at some point:
// the transport may still be sending when it returns, as when the answer came
// early.
type sharedBody struct {
	mu   sync.Mutex
	data []byte
	gone bool
}

func (b *sharedBody) detach() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.data, b.gone = nil, true
}

// bodyReader reads a sharedBody from its start.
type bodyReader struct {
	shared *sharedBody
	off    int
}

var errDetached = errors.New("the body was taken back")

func (r *bodyReader) Read(p []byte) (int, error) {
	b := r.shared
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gone {
		return 0, errDetached
	}
	if r.off == len(b.data) {
		return 0, io.EOF
	}
	n := copy(p, b.data[r.off:])
	r.off += n
	return n, nil
}

func (r *bodyReader) Close() error { return nil }
