package netx

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// Dialer connects as the options of a Client and a TLS group say. It is
// immutable and safe for concurrent use.
type Dialer struct {
	// ALPN is the protocols offered in the TLS handshake. Set it before the first
	// use.
	ALPN []string

	client Client
	tls    *clientTLS
	log    *slog.Logger
	on     bool
	proxy  *proxy // nil for none

	readLimit, writeLimit time.Duration // of one call; 0 for none

	open *atomic.Int64 // connections, if they are counted
}

// NewDialer checks the options and reads the environment's proxy; it opens
// nothing. t may be nil when the plugin has no TLS. log, which may be nil, is
// told about certificates that were read again.
func NewDialer(c *Client, t *TLS, log *slog.Logger) (*Dialer, error) {
	if t == nil {
		t = &TLS{Verify: true, VerifyHostname: true, ProxyVerify: true, ProxyVerifyHostname: true}
	}
	d := &Dialer{client: *c, on: t.On, log: log, readLimit: c.IOTimeout, writeLimit: c.IOTimeout}
	var err error
	if d.tls, err = newClientTLS(*t, log); err != nil {
		return nil, err
	}
	if !c.IgnoreProxyEnv {
		if d.proxy, err = proxyFromEnv(os.Getenv, t, log); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// WithLimits returns a dialer whose connections have these limits for one read
// and one write instead of net.io_timeout; 0 means no limit.
func (d *Dialer) WithLimits(read, write time.Duration) *Dialer {
	c := *d
	c.readLimit, c.writeLimit = read, write
	return &c
}

// Counted returns a dialer whose connections are counted in open until they are
// closed.
func (d *Dialer) Counted(open *atomic.Int64) *Dialer {
	c := *d
	c.open = open
	return &c
}

// WithProxy returns a dialer that reaches every host through the proxy at
// [http://][user:password@]host[:port], or none for "", whatever the
// environment says.
func (d *Dialer) WithProxy(text string) (*Dialer, error) {
	c := *d
	c.proxy = nil
	if text == "" {
		return &c, nil
	}
	var err error
	if c.proxy, err = parseProxy(text); err != nil {
		return nil, err
	}
	if c.proxy.tls != nil {
		c.proxy.tls, err = newClientTLS(d.tls.opts.forProxy(), d.log)
	}
	return &c, err
}

// Load reads the files of the TLS options if TLS is on, so that a start fails
// rather than the first delivery.
func (d *Dialer) Load() error {
	if !d.on {
		return nil
	}
	return d.tls.load()
}

// TLS tells whether Dial makes TLS connections.
func (d *Dialer) TLS() bool { return d.on }

// Options returns the options that the dialer was made with.
func (d *Dialer) Options() Client { return d.client }

// Dial connects to a host:port ("tcp", "udp") or a path ("unix"), with TLS if
// the option tls is on. TCP goes through the proxy of the environment unless
// NO_PROXY names the host. The connection applies net.io_timeout.
func (d *Dialer) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if d.on && network != "udp" && network != "unixgram" {
		return d.DialTLS(ctx, network, address)
	}
	return d.DialPlain(ctx, network, address)
}

// DialPlain is Dial without TLS, whatever the option says.
func (d *Dialer) DialPlain(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := d.connectContext(ctx)
	defer cancel()
	conn, err := d.connect(ctx, network, address)
	return conn, d.explain(ctx, address, err)
}

// DialTLS is Dial with TLS, whatever the option says. The connection is a
// *tls.Conn after its handshake.
func (d *Dialer) DialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := d.connectContext(ctx)
	defer cancel()
	cfg, err := d.tls.config(tlsHost(network, address), d.ALPN)
	if err != nil {
		return nil, err
	}
	raw, err := d.connect(ctx, network, address)
	if err != nil {
		return nil, d.explain(ctx, address, err)
	}
	conn := tls.Client(raw, cfg)
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, d.explain(ctx, address, tlsError(address, err))
	}
	return conn, nil
}

// ErrConnectTimeout is wrapped by errors of Dial when net.connect_timeout was
// over.
var ErrConnectTimeout = errors.New("connect timeout")

func (d *Dialer) connectContext(ctx context.Context) (context.Context, context.CancelFunc) {
	if d.client.ConnectTimeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, d.client.ConnectTimeout, ErrConnectTimeout)
}

// explain names the option that ended a connection attempt.
func (d *Dialer) explain(ctx context.Context, address string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(context.Cause(ctx), ErrConnectTimeout) {
		return fmt.Errorf("connect to %s: %w after %v (net.connect_timeout): %w", address, ErrConnectTimeout, d.client.ConnectTimeout, err)
	}
	return err
}

// connect makes the raw connection, tunnelled if there is a proxy for it.
func (d *Dialer) connect(ctx context.Context, network, address string) (net.Conn, error) {
	var conn net.Conn
	var err error
	if strings.HasPrefix(network, "tcp") && d.proxy.serves(address) {
		conn, err = d.proxy.dial(ctx, d, address)
	} else {
		conn, err = d.direct(ctx, network, address)
	}
	if err != nil {
		return nil, err
	}
	conn = withTimeout(conn, d.readLimit, d.writeLimit)
	if d.open != nil {
		d.open.Add(1)
		conn = &countedConn{Conn: conn, open: d.open}
	}
	return conn, nil
}

func (d *Dialer) direct(ctx context.Context, network, address string) (net.Conn, error) {
	nd, err := d.client.dialer(ctx, network)
	if err != nil {
		return nil, err
	}
	first, second := "", ""
	switch {
	case network == "unix" || network == "unixgram":
	case d.client.PreferIPv4 && !d.client.PreferIPv6:
		first, second = network+"4", network+"6"
	case d.client.PreferIPv6 && !d.client.PreferIPv4:
		first, second = network+"6", network+"4"
	}
	if first == "" {
		return nd.DialContext(ctx, network, address)
	}
	// The preferred family gets half of the time if the other one may follow.
	half, cancel := ctx, context.CancelFunc(func() {})
	if d.client.ConnectTimeout > 0 {
		half, cancel = context.WithTimeout(ctx, d.client.ConnectTimeout/2)
	}
	conn, err := nd.DialContext(half, first, address)
	cancel()
	if err == nil || ctx.Err() != nil {
		return conn, err
	}
	conn, err2 := nd.DialContext(ctx, second, address)
	if err2 == nil {
		return conn, nil
	}
	var none *net.AddrError
	if errors.As(err2, &none) {
		return nil, err // the name has no address of the other family
	}
	return nil, err2
}
