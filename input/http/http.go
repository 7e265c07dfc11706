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
	"net/http"
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
	Port           netx.Port
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
	fields := append(c.Port.Fields(9880),
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
	)
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
	in := &Input{cfg: c, env: env, tag: env.OwnTag()}
	var err error
	if c.TagKey != "" {
		if in.tagKey, err = event.ParseAccessor(c.TagKey); err != nil {
			return nil, option.At("tag_key", fmt.Errorf("option %q: %w", "tag_key", err))
		}
	}
	if in.Network, in.Address, err = c.Port.Or(c.UnixPath); err != nil {
		return nil, err
	}
	if in.jwt, err = c.JWT.NewValidator(); err != nil {
		return nil, err
	}
	if c.HTTP.MaxConnections > 0 {
		c.Net.MaxConnections = int(min(c.HTTP.MaxConnections, 1<<30))
	}
	in.Server = c.Net
	in.Options = netx.ListenOptions{TLS: &c.TLS, ALPN: c.HTTP.ALPN(), Log: env.Log, Reject: in.reject}
	if err := in.Check(); err != nil {
		return nil, err
	}
	return in, nil
}

// Input serves requests.
type Input struct {
	netx.Endpoint
	cfg    *Config
	env    *plugin.Env
	tag    string // of requests for /
	tagKey *event.Accessor
	jwt    *httpx.Validator
}

var (
	_ plugin.Input   = (*Input)(nil)
	_ plugin.Starter = (*Input)(nil)
	_ io.Closer      = (*Input)(nil)
)

func (in *Input) reject(reason string) { in.env.Stats.Reject(reason, 1) }

// Close closes what Start opened and Run did not use.
func (in *Input) Close() error {
	return errors.Join(in.jwt.Close(), in.Endpoint.Close())
}

// Run serves requests until ctx ends.
func (in *Input) Run(ctx context.Context, out plugin.Emitter) error {
	o, err := in.Open(ctx)
	if err != nil {
		return err
	}
	return in.cfg.HTTP.Serve(ctx, o.Listener, &handler{in, out}, in.env.Log, in.reject)
}
