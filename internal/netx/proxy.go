package netx

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// proxy tunnels TCP connections through an HTTP proxy by the CONNECT method
// (RFC 9110, section 9.3.6). As in Fluent Bit one proxy, HTTP_PROXY, serves
// every TCP destination, whatever is spoken over it.
type proxy struct {
	address string // host:port
	auth    string // value of Proxy-Authorization, or ""
	tls     *clientTLS
	direct  []noProxy
	all     bool // NO_PROXY=*
}

// noProxy is one entry of NO_PROXY. Fluent Bit compares whole names; suffixes,
// ports and networks are understood as elsewhere.
type noProxy struct {
	host   string // lower case
	port   string // "" for any
	suffix bool   // host starts with a dot and stands for everything below it
	net    netip.Prefix
}

// proxyFromEnv reads the environment; nil means no proxy.
func proxyFromEnv(getenv func(string) string, t *TLS, log *slog.Logger) (*proxy, error) {
	text := firstNonEmpty(getenv("HTTP_PROXY"), getenv("http_proxy"))
	if text == "" {
		return nil, nil
	}
	p, err := parseProxy(text)
	if err != nil {
		return nil, fmt.Errorf("read HTTP_PROXY: %w", err)
	}
	if p.tls != nil {
		if p.tls, err = newClientTLS(t.forProxy(), log); err != nil {
			return nil, err
		}
	}
	list := firstNonEmpty(getenv("NO_PROXY"), getenv("no_proxy"))
	for _, entry := range strings.Split(list, ",") {
		switch entry = strings.ToLower(strings.TrimSpace(entry)); {
		case entry == "":
		case entry == "*":
			p.all = true
		default:
			p.direct = append(p.direct, parseNoProxy(entry))
		}
	}
	return p, nil
}

func firstNonEmpty(a, b string) string {
	if strings.TrimSpace(a) != "" {
		return strings.TrimSpace(a)
	}
	return strings.TrimSpace(b)
}

// parseProxy reads [http://|https://][user:password@]host[:port]. A proxy
// reached by TLS has an empty tls, to be filled in.
func parseProxy(text string) (*proxy, error) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		// The error of url.Parse would show the password.
		return nil, errors.New("it is not of the form [http://][username:password@]host:port")
	}
	p := &proxy{}
	port := "80"
	switch u.Scheme {
	case "http":
	case "https":
		port, p.tls = "443", &clientTLS{}
	default:
		return nil, fmt.Errorf("proxies of the kind %q are not supported; use http or https", u.Scheme)
	}
	if u.Hostname() == "" {
		return nil, errors.New("it names no host")
	}
	if u.Port() != "" {
		port = u.Port()
	}
	p.address = net.JoinHostPort(u.Hostname(), port)
	if u.User != nil {
		password, _ := u.User.Password()
		p.auth = "Basic " + base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password))
	}
	return p, nil
}

func parseNoProxy(entry string) noProxy {
	if prefix, err := netip.ParsePrefix(entry); err == nil {
		return noProxy{net: prefix.Masked()}
	}
	e := noProxy{host: entry}
	if host, port, err := net.SplitHostPort(entry); err == nil {
		e.host, e.port = host, port
	}
	e.host = strings.Trim(strings.TrimPrefix(e.host, "*"), "[]")
	e.suffix = strings.HasPrefix(e.host, ".")
	return e
}

// serves tells whether the address is reached through the proxy.
func (p *proxy) serves(address string) bool {
	if p == nil || p.all {
		return false
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	ip, ipErr := netip.ParseAddr(host)
	for _, e := range p.direct {
		if e.net.IsValid() {
			if ipErr == nil && e.net.Contains(ip.Unmap()) {
				return false
			}
			continue
		}
		if e.port != "" && e.port != port {
			continue
		}
		if host == e.host || e.suffix && (strings.HasSuffix(host, e.host) || host == e.host[1:]) {
			return false
		}
	}
	return true
}

// maxProxyAnswer bounds the header of a proxy's answer, in bytes.
const maxProxyAnswer = 64 << 10

// dial opens a tunnel to address. ctx limits the whole of it.
func (p *proxy) dial(ctx context.Context, d *Dialer, address string) (net.Conn, error) {
	conn, err := d.direct(ctx, "tcp", p.address)
	if err != nil {
		return nil, fmt.Errorf("connect to proxy: %w", err)
	}
	if p.tls != nil {
		cfg, err := p.tls.config(tlsHost("tcp", p.address), nil)
		if err != nil {
			_ = conn.Close()
			return nil, err
		}
		outer := tls.Client(conn, cfg)
		if err := outer.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, fmt.Errorf("connect to proxy: %w", tlsError(p.address, err))
		}
		conn = outer
	}
	stop := Bind(ctx, conn)
	conn, err = p.tunnel(conn, address)
	if !stop() && err == nil {
		_ = conn.Close()
		err = ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("tunnel to %s through proxy %s: %w", address, p.address, err)
	}
	// The deadline that Bind may have set is gone with stop, but not one that was
	// set a moment before.
	_ = conn.SetDeadline(time.Time{})
	return conn, nil
}

func (p *proxy) tunnel(conn net.Conn, address string) (net.Conn, error) {
	fail := func(err error) (net.Conn, error) {
		_ = conn.Close()
		return nil, err
	}
	head := "CONNECT " + address + " HTTP/1.1\r\nHost: " + address + "\r\nUser-Agent: Fluent-Bit\r\n"
	if p.auth != "" {
		head += "Proxy-Authorization: " + p.auth + "\r\n"
	}
	if _, err := io.WriteString(conn, head+"\r\n"); err != nil {
		return fail(err)
	}
	limit := &io.LimitedReader{R: conn, N: maxProxyAnswer}
	r := bufio.NewReader(limit)
	resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect}) //nolint:bodyclose // The answer to CONNECT has none.
	if err != nil {
		return fail(fmt.Errorf("read the answer: %w", err))
	}
	if resp.StatusCode != http.StatusOK {
		return fail(fmt.Errorf("the proxy answered %s", resp.Status))
	}
	if r.Buffered() > 0 {
		// The destination spoke first, and what it said came with the answer.
		early, _ := r.Peek(r.Buffered())
		return &earlyConn{Conn: conn, early: append([]byte(nil), early...)}, nil
	}
	return conn, nil
}

// earlyConn reads what arrived early before the rest.
type earlyConn struct {
	net.Conn
	early []byte
}

func (c *earlyConn) Read(p []byte) (int, error) {
	if len(c.early) > 0 {
		n := copy(p, c.early)
		c.early = c.early[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// NetConn returns the connection below.
func (c *earlyConn) NetConn() net.Conn { return c.Conn }
