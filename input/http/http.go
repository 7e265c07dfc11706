// Package http is the input http: a server that takes JSON and forms by POST.
//
// The body of a request is decoded as a whole and parsed straight into the
// arena of a batch, or with tag_key of one batch for each tag. The request is
// answered when the router has taken the batches, or with wait_ack when nobody
// needs their events any more.
package http

import (
	"context"
	_ "embed" // For the documentation.
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/httpx"
	"github.com/kagarilog/kagari/internal/netx"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

//go:embed doc.md
var doc string

// Def describes the input.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindInput,
		Name:    "http",
		Summary: "Takes JSON and forms over HTTP",
		Doc:     doc,
		Push:    true,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the input.
type Config struct {
	Listen         string
	Host           string // accepted only, like IPv6
	Port           int
	IPv6           bool
	UnixPath       string
	TagKey         string
	AddRemoteAddr  bool
	RemoteAddrKey  string
	AddHeaders     bool
	SuccessHeaders [][]string
	SuccessCode    int
	Health         bool
	WaitAck        bool
	AckTimeout     time.Duration
	HTTP           httpx.Server
	JWT            httpx.JWT
	Net            netx.Server
	TLS            netx.TLS
}

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	fields := []option.Field{
		option.String(&c.Listen, "listen", "0.0.0.0", "Address to listen on."),
		option.Int(&c.Port, "port", 9880, "Port to listen on."),
		option.String(&c.Host, "host", "", "Accepted for compatibility and without effect, as in Fluent Bit; use `listen`."),
		option.Bool(&c.IPv6, "ipv6", false, "Accepted for compatibility. An IPv6 address in `listen` is enough."),
		option.String(&c.UnixPath, "unix_path", "", "Listen on a unix socket with this path instead of a port.").WithOurs(),
		option.String(&c.TagKey, "tag_key", "", "Record accessor of a text that becomes the tag. It wins over the path."),
		option.Bool(&c.AddRemoteAddr, "add_remote_addr", false, "Add the client's address, the first of the header X-Forwarded-For, to every record. Without that header nothing is added."),
		option.String(&c.RemoteAddrKey, "remote_addr_key", "REMOTE_ADDR", "Key for add_remote_addr. A record that has the key keeps its own value."),
		option.Bool(&c.AddHeaders, "add_http_headers", false, "Add the request's headers to every record under keys such as HTTP_USER_AGENT, but not Authorization and Cookie.").WithOurs(),
		option.Words(&c.SuccessHeaders, "success_header", 2, 1, "Name and value of a header to answer success with."),
		successField(&c.SuccessCode),
		option.Bool(&c.Health, "enable_health_endpoint", false, "Answer GET /health."),
		option.Bool(&c.WaitAck, "wait_ack", false, "Answer only when the records were delivered everywhere or are safely on disk.").WithOurs(),
		option.Seconds(&c.AckTimeout, "wait_ack_timeout", "60s", "Longest wait of wait_ack; then the answer is 503, and the client should send again.").WithOurs(),
	}
	fields = append(fields, c.HTTP.Fields()...)
	fields = append(fields, c.JWT.Fields()...)
	fields = append(fields, c.Net.Fields()...)
	return append(fields, c.TLS.ServerFields()...)
}

// successField falls back to 201, as Fluent Bit does.
func successField(p *int) option.Field {
	return option.Int(p, "successful_response_code", http.StatusCreated, "Status of success: 200, 201 or 204.").
		WithCheck(func() error {
			switch *p {
			case http.StatusOK, http.StatusCreated, http.StatusNoContent:
				return nil
			}
			bad := *p
			*p = http.StatusCreated
			return option.Lenient("status %d is not supported; 201 is used", bad)
		})
}

// New checks the options.
func (c *Config) New(env *plugin.Env) (plugin.Input, error) {
	in := &Input{cfg: c, env: env}
	var err error
	if c.TagKey != "" {
		if in.tagKey, err = event.ParseAccessor(c.TagKey); err != nil {
			return nil, option.At("tag_key", fmt.Errorf("option %q: %w", "tag_key", err))
		}
	}
	if c.UnixPath == "" && (c.Port < 0 || c.Port > 65535) {
		return nil, option.At("port", fmt.Errorf("port %d is not between 0 and 65535", c.Port))
	}
	if in.jwt, err = c.JWT.NewValidator(); err != nil {
		return nil, err
	}
	if c.HTTP.MaxConnections > 0 {
		c.Net.MaxConnections = int(min(c.HTTP.MaxConnections, 1<<30))
	}
	in.options = netx.ListenOptions{TLS: &c.TLS, ALPN: c.HTTP.ALPN(), Log: env.Log, Reject: in.reject}
	if err := in.options.Check(); err != nil {
		return nil, err
	}
	in.tag = env.Tag
	if in.tag == "" {
		in.tag = env.DefaultTag
	}
	return in, nil
}

// Input serves requests.
type Input struct {
	cfg     *Config
	env     *plugin.Env
	tag     string // of requests for /
	tagKey  *event.Accessor
	jwt     *httpx.Validator
	options netx.ListenOptions

	mu       sync.Mutex
	listener *netx.Listener // made by Start and not yet used by Run
}

var (
	_ plugin.Input   = (*Input)(nil)
	_ plugin.Starter = (*Input)(nil)
	_ io.Closer      = (*Input)(nil)
)

func (in *Input) reject(reason string) { in.env.Stats.Reject(reason, 1) }

// Start listens, so that a port in use refuses the start.
func (in *Input) Start(ctx context.Context) error {
	l, err := in.listen(ctx)
	if err != nil {
		return err
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.listener = l
	return nil
}

func (in *Input) listen(ctx context.Context) (*netx.Listener, error) {
	network, address := "tcp", net.JoinHostPort(strings.Trim(in.cfg.Listen, "[]"), strconv.Itoa(in.cfg.Port))
	if in.cfg.UnixPath != "" {
		network, address = "unix", in.cfg.UnixPath
	}
	l, err := in.cfg.Net.Listen(ctx, network, address, in.options)
	if err != nil {
		return nil, err
	}
	in.env.Log.Info("listening", "address", l.Addr().String())
	return l, nil
}

// take returns what Start opened, once.
func (in *Input) take() *netx.Listener {
	in.mu.Lock()
	defer in.mu.Unlock()
	l := in.listener
	in.listener = nil
	return l
}

// Close closes what Start opened and Run did not use.
func (in *Input) Close() error {
	err := in.jwt.Close()
	if l := in.take(); l != nil {
		err = errors.Join(err, l.Close())
	}
	return err
}

// Run serves requests until ctx ends.
func (in *Input) Run(ctx context.Context, out plugin.Emitter) error {
	l := in.take()
	if l == nil {
		var err error
		if l, err = in.listen(ctx); err != nil {
			return err
		}
	}
	return in.cfg.HTTP.Serve(ctx, l, &handler{in, out}, in.env.Log, in.reject)
}
