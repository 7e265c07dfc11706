// Package http is the output http: it sends chunks, or single records, as the
// bodies of HTTP requests.
//
// A chunk is encoded in pieces that go straight through the compressor into
// one buffer, and that is sent by a client which keeps its connections.
package http

import (
	"context"
	_ "embed" // For the documentation.
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/encode"
	"github.com/kagarilog/kagari/internal/httpx"
	"github.com/kagarilog/kagari/internal/netx"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

//go:embed doc.md
var doc string

// Def describes the output.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindOutput,
		Name:    "http",
		Summary: "Sends records to an HTTP server",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// formatGELF is the format beside those of package encode.
const formatGELF encode.Format = "gelf"

// Config is the options of the output.
type Config struct {
	Remote          netx.Remote
	UnixPath        string
	URI             string
	Method          string
	Proxy           string
	User            string
	Password        string
	HeaderTag       string
	Headers         [][]string
	AllowDuplicates bool
	LogResponse     bool
	ResponseTimeout time.Duration
	ReadIdleTimeout time.Duration
	Encoding        httpx.Encoding
	Encode          encode.Config
	GELF            encode.GELF
	BodyKey         string
	HeadersKey      string
	Net             netx.Client
	TLS             netx.TLS
	OAuth2          httpx.OAuth2
}

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	c.Encoding = httpx.Identity
	fields := append(c.Remote.Fields(80, "server"),
		option.String(&c.UnixPath, "unix_path", "", "Path of a unix socket to send to; host and port then only go into the header Host.").WithOurs(),
		option.String(&c.URI, "uri", "/", "Path, and query if there is one, of the requests."),
		option.Enum(&c.Method, "http_method", http.MethodPost, []string{http.MethodPost, http.MethodPut}, "Method of the requests."),
		option.String(&c.Proxy, "proxy", "", "HTTP proxy, http://host:port, to send through instead of one of the environment."),
		option.String(&c.User, "http_user", "", "User for Basic authentication."),
		option.Secret(&c.Password, "http_passwd", "Password for Basic authentication."),
		option.String(&c.HeaderTag, "header_tag", "", "Name of a header to send the tag in."),
		option.Words(&c.Headers, "header", 2, 1, "Name and value of a header to send."),
		option.Bool(&c.AllowDuplicates, "allow_duplicated_headers", true, "Send a header of the option header beside one of the same name. Otherwise it takes its place."),
		option.Bool(&c.LogResponse, "log_response_payload", true, "Log the text of answers."),
		option.Seconds(&c.ResponseTimeout, "http.response_timeout", "60s", "Longest wait for the answer. 0 means no limit."),
		option.Seconds(&c.ReadIdleTimeout, "http.read_idle_timeout", "0s", "Longest wait between two parts of an answer. 0 means net.io_timeout."),
		compressField(&c.Encoding),
		option.String(&c.GELF.Timestamp, "gelf_timestamp_key", "", "Key of the field timestamp in the format gelf."),
		option.String(&c.GELF.Host, "gelf_host_key", "", "Key of the field host in the format gelf."),
		option.String(&c.GELF.ShortMessage, "gelf_short_message_key", "", "Key of the field short_message in the format gelf."),
		option.String(&c.GELF.FullMessage, "gelf_full_message_key", "", "Key of the field full_message in the format gelf."),
		option.String(&c.GELF.Level, "gelf_level_key", "", "Key of the field level in the format gelf."),
		option.String(&c.BodyKey, "body_key", "", "Record accessor of a text to send as the body, a request for each record. headers_key must be given too."),
		option.String(&c.HeadersKey, "headers_key", "", "Record accessor of a map to send as headers, with body_key."),
	)
	fields = append(fields, c.Encode.Fields(encode.JSON, formatGELF)...)
	fields = append(fields, c.OAuth2.Fields()...)
	fields = append(fields, c.Net.Fields()...)
	return append(fields, c.TLS.Fields()...)
}

func compressField(p *httpx.Encoding) option.Field {
	return option.Custom("compress", option.TypeEnum, "", "Compression of the body: gzip, snappy or zstd.", func(v option.Value) (err error) {
		*p, err = httpx.ParseEncoding(v.Text, httpx.Gzip, httpx.Snappy, httpx.Zstd)
		return err
	})
}

// New checks the options.
func (c *Config) New(env *plugin.Env) (plugin.Output, error) {
	o := &Output{
		method: c.Method, encoding: c.Encoding, gelf: c.GELF, headerTag: c.HeaderTag,
		encoder: c.Encode.NewEncoder(env.Service.EscapeUnicode), format: c.Encode.Format,
		logResponse: c.LogResponse, env: env,
	}
	if err := o.setKeys(c.BodyKey, c.HeadersKey); err != nil {
		return nil, err
	}
	c.Remote.Prefer(&c.Net)
	var err error
	if o.url, err = c.url(); err != nil {
		return nil, err
	}
	if err := o.setHeaders(c); err != nil {
		return nil, err
	}
	if o.dialer, err = netx.NewDialer(&c.Net, &c.TLS, env.Log); err != nil {
		return nil, err
	}
	response := c.ResponseTimeout
	if response == 0 {
		response = -1
	}
	if o.tokens, err = c.OAuth2.NewTokenSource(&c.Net, response); err != nil {
		return nil, err
	}
	o.client, err = httpx.NewClient(o.dialer, httpx.ClientOptions{
		ResponseTimeout: response, ReadIdleTimeout: c.ReadIdleTimeout,
		UnixPath: c.UnixPath, Proxy: c.Proxy, OAuth2: o.tokens,
	})
	if err != nil {
		return nil, err
	}
	return o, nil
}

func (c *Config) url() (*url.URL, error) {
	scheme := "http"
	if c.TLS.On {
		scheme = "https"
	}
	uri := c.URI
	if !strings.HasPrefix(uri, "/") {
		uri = "/" + uri
	}
	u, err := url.Parse(scheme + "://" + c.Remote.Address() + uri)
	if err != nil {
		return nil, fmt.Errorf("option %q: %w", "uri", err)
	}
	return u, nil
}

// Output sends chunks.
type Output struct {
	env         *plugin.Env
	dialer      *netx.Dialer
	client      *httpx.Client
	tokens      *httpx.TokenSource
	url         *url.URL
	method      string
	encoding    httpx.Encoding
	encoder     *encode.Encoder
	format      encode.Format
	gelf        encode.GELF
	header      http.Header // what every request has
	extra       [][2]string // the option header, for requests with headers of their own
	duplicates  bool
	headerTag   string
	body        *event.Accessor // nil without body_key
	headers     *event.Accessor
	logResponse bool
}

var (
	_ plugin.Output    = (*Output)(nil)
	_ plugin.Starter   = (*Output)(nil)
	_ plugin.Connected = (*Output)(nil)
	_ io.Closer        = (*Output)(nil)
)

// Start reads the files of TLS options.
func (o *Output) Start(context.Context) error { return o.dialer.Load() }

// Connections is how many are open.
func (o *Output) Connections() int { return o.client.Connections() }

// Close closes idle connections.
func (o *Output) Close() error { return errors.Join(o.client.Close(), o.tokens.Close()) }

// Send sends a chunk in one request, or each record in one of its own.
func (o *Output) Send(ctx context.Context, c *event.Chunk) error {
	if o.body != nil {
		return o.sendEach(ctx, c)
	}
	return o.sendChunk(ctx, c)
}

// sendChunk sends all events of c. A server that finds it too large gets two
// halves.
func (o *Output) sendChunk(ctx context.Context, c *event.Chunk) error {
	body := httpx.NewBody(o.encoding)
	defer body.Free()
	rejected, err := o.write(body, c)
	if err != nil {
		return plugin.Permanent(fmt.Errorf("encode the chunk: %w", err))
	}
	if len(rejected) == c.Count && c.Count > 0 {
		return plugin.Permanent(encode.ErrNoShortMessage)
	}
	err = o.request(ctx, c.Tag, o.header, body.Bytes())
	var se *statusError
	if errors.As(err, &se) && se.status == http.StatusRequestEntityTooLarge && c.Count > 1 {
		return o.sendHalves(ctx, c, err)
	}
	if err == nil && len(rejected) > 0 {
		return &plugin.PartialError{Err: encode.ErrNoShortMessage, Rejected: rejected}
	}
	return err
}

// write encodes c and returns the indexes of events that cannot be.
func (o *Output) write(w io.Writer, c *event.Chunk) (rejected []int, err error) {
	if o.format != formatGELF {
		return nil, o.encoder.Write(w, c)
	}
	var line []byte
	cur := c.Cursor()
	for cur.Next() {
		if line, err = o.gelf.Append(line[:0], cur.Time, cur.Record); err != nil {
			rejected = append(rejected, cur.Index)
			continue
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return nil, err
		}
	}
	return rejected, cur.Err()
}

// sendHalves sends the two halves of c and puts together what became of them.
func (o *Output) sendHalves(ctx context.Context, c *event.Chunk, tooLarge error) error {
	o.env.Log.Warn("the server takes no body of this size; the chunk is divided", "events", c.Count, "error", tooLarge)
	out := &plugin.PartialError{}
	for from, to := 0, c.Count/2; from < c.Count; from, to = to, c.Count {
		indexes := make([]int, to-from)
		for i := range indexes {
			indexes[i] = from + i
		}
		half := c.Select(indexes)
		err := o.sendChunk(ctx, half)
		half.Release()
		if err == nil {
			continue
		}
		out.Err = err
		var part *plugin.PartialError
		var never *plugin.PermanentError
		switch {
		case errors.As(err, &part):
			for _, i := range part.Retry {
				out.Retry = append(out.Retry, from+i)
			}
			for _, i := range part.Rejected {
				out.Rejected = append(out.Rejected, from+i)
			}
		case errors.As(err, &never):
			out.Rejected = append(out.Rejected, indexes...)
		default:
			out.Retry = append(out.Retry, indexes...)
		}
	}
	return out.Of(c.Count)
}

// statusError is an answer other than success.
type statusError struct {
	where  string
	status int
	text   string
}

func (e *statusError) Error() string {
	if e.text == "" {
		return fmt.Sprintf("%s answered HTTP status %d", e.where, e.status)
	}
	return fmt.Sprintf("%s answered HTTP status %d: %s", e.where, e.status, e.text)
}

// request sends one request. As in Fluent Bit 200 to 205 is success, 400 to 499
// is final but for 408 and 429, and all else is sent again.
func (o *Output) request(ctx context.Context, tag string, header http.Header, body []byte) error {
	if o.headerTag != "" {
		header = with(header, o.headerTag, clean(tag))
	}
	resp, err := o.client.Do(ctx, &httpx.Request{Method: o.method, URL: o.url, Header: header, Host: header.Get("Host"), Body: body})
	if err != nil {
		return err
	}
	text := ""
	if o.logResponse {
		text = shorten(resp.Body)
	}
	if resp.Status >= 200 && resp.Status <= 205 {
		o.env.Log.Debug("the server took a request", "status", resp.Status, "answer", text)
		return nil
	}
	err = &statusError{o.url.Host, resp.Status, text}
	if resp.Status >= 400 && resp.Status < 500 && resp.Status != http.StatusTooManyRequests && resp.Status != http.StatusRequestTimeout {
		return plugin.Permanent(err)
	}
	if after, ok := httpx.RetryAfter(resp.Header, time.Now()); ok {
		return plugin.RetryAfter(err, after)
	}
	return err
}

// maxText is how much of an answer is logged, in bytes.
const maxText = 1024

func shorten(b []byte) string {
	s := strings.TrimSpace(strings.ToValidUTF8(string(b[:min(len(b), maxText)]), "\uFFFD"))
	if len(b) > maxText {
		s += " …"
	}
	return s
}
