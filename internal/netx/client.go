package netx

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/kagarilog/kagari/option"
)

// Client is the options of outgoing connections. Host and port belong to the
// plugin.
type Client struct {
	ConnectTimeout  time.Duration // to connect, with proxy and TLS handshake
	LogTimeouts     bool          // a connect timeout is an error, else a debug message
	IOTimeout       time.Duration // longest wait for one read or write; 0 for no limit
	Keepalive       bool          // use a connection again
	KeepaliveIdle   time.Duration // idle connections are closed after it
	KeepaliveUses   int           // a connection is closed after so many uses; 0 for no limit
	SourceAddress   string        // local address, or ""
	DNSMode         string        // "", "TCP" or "UDP"
	DNSResolver     string        // accepted only
	PreferIPv4      bool
	PreferIPv6      bool
	MaxConnections  int // per worker; 0 for no limit
	TCPKeepalive    bool
	TCPKeepIdle     int // seconds; -1 for the system's default, like the next two
	TCPKeepInterval int // seconds
	TCPKeepProbes   int
	IgnoreProxyEnv  bool
}

// Fields binds the options.
func (c *Client) Fields() []option.Field {
	return []option.Field{
		option.Seconds(&c.ConnectTimeout, "net.connect_timeout", "10s",
			"Longest time to establish a connection, including proxy and TLS handshake."),
		option.Bool(&c.LogTimeouts, "net.connect_timeout_log_error", true,
			"Report a connect timeout as an error. Otherwise it is a debug message."),
		option.Seconds(&c.IOTimeout, "net.io_timeout", "0s",
			"Longest time that a single read or write may wait for the other side. 0 means no limit."),
		option.Bool(&c.Keepalive, "net.keepalive", true,
			"Keep connections open and use them again."),
		option.Seconds(&c.KeepaliveIdle, "net.keepalive_idle_timeout", "30s",
			"Close a kept connection after this time without use."),
		option.Int(&c.KeepaliveUses, "net.keepalive_max_recycle", 2000,
			"Close a kept connection after this many uses. 0 means no limit."),
		option.String(&c.SourceAddress, "net.source_address", "",
			"Local address that connections start from."),
		option.String(&c.DNSMode, "net.dns.mode", "",
			"Ask name servers over TCP or UDP.").WithCheck(c.checkDNSMode),
		option.String(&c.DNSResolver, "net.dns.resolver", "",
			"Accepted for compatibility (LEGACY or ASYNC). There is one resolver, which never blocks."),
		option.Bool(&c.PreferIPv4, "net.dns.prefer_ipv4", false,
			"Try the IPv4 addresses of a name first."),
		option.Bool(&c.PreferIPv6, "net.dns.prefer_ipv6", false,
			"Try the IPv6 addresses of a name first."),
		option.Int(&c.MaxConnections, "net.max_worker_connections", 0,
			"Most connections of one worker. 0 means no limit. A worker that sends over one connection at a time never reaches it."),
		option.Bool(&c.TCPKeepalive, "net.tcp_keepalive", false,
			"Send TCP keepalive probes."),
		option.Int(&c.TCPKeepIdle, "net.tcp_keepalive_time", -1,
			"Time without data before the first TCP keepalive probe. -1 leaves it to the system.").WithUnit("seconds"),
		option.Int(&c.TCPKeepInterval, "net.tcp_keepalive_interval", -1,
			"Time between TCP keepalive probes. -1 leaves it to the system.").WithUnit("seconds"),
		option.Int(&c.TCPKeepProbes, "net.tcp_keepalive_probes", -1,
			"Unanswered probes after which a connection is dead. -1 leaves it to the system."),
		option.Bool(&c.IgnoreProxyEnv, "net.proxy_env_ignore", false,
			"Ignore the environment variables HTTP_PROXY and NO_PROXY."),
	}
}

func (c *Client) checkDNSMode() error {
	switch c.DNSMode {
	case "", "TCP", "UDP":
		return nil
	}
	bad := c.DNSMode
	c.DNSMode = ""
	return option.Lenient("%q is neither TCP nor UDP and is ignored", bad)
}

// dialer returns the standard dialer for network, with everything but the
// connect timeout, which is in the context.
func (c *Client) dialer(ctx context.Context, network string) (*net.Dialer, error) {
	d := &net.Dialer{KeepAlive: -1, Resolver: c.resolver()}
	if c.TCPKeepalive {
		d.KeepAlive = 0
		d.KeepAliveConfig = net.KeepAliveConfig{
			Enable:   true,
			Idle:     secondsOrSystem(c.TCPKeepIdle),
			Interval: secondsOrSystem(c.TCPKeepInterval),
			Count:    c.TCPKeepProbes,
		}
	}
	if c.SourceAddress != "" && network != "unix" && network != "unixgram" {
		ip, err := c.sourceIP(ctx)
		if err != nil {
			return nil, err
		}
		if network == "udp" {
			d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, 0))
		} else {
			d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, 0))
		}
	}
	return d, nil
}

// secondsOrSystem makes a value of net.KeepAliveConfig, where negative leaves
// the system's default.
func secondsOrSystem(n int) time.Duration {
	if n < 0 {
		return -1
	}
	return time.Duration(n) * time.Second
}

// sourceIP reads net.source_address, which may be a name.
func (c *Client) sourceIP(ctx context.Context) (netip.Addr, error) {
	if ip, err := netip.ParseAddr(c.SourceAddress); err == nil {
		return ip, nil
	}
	ips, err := c.resolver().LookupNetIP(ctx, "ip", c.SourceAddress)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("look up net.source_address %q: %w", c.SourceAddress, err)
	}
	return ips[0].Unmap(), nil
}

// resolver returns nil, for the default one, or one that asks as dns.mode says.
func (c *Client) resolver() *net.Resolver {
	if c.DNSMode == "" {
		return nil
	}
	network := "udp"
	if c.DNSMode == "TCP" {
		network = "tcp"
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, asked, address string) (net.Conn, error) {
		// A truncated answer over UDP is asked for again over TCP; that must stay.
		if asked == "tcp" || network == "tcp" {
			asked = "tcp"
		}
		return (&net.Dialer{}).DialContext(ctx, asked, address)
	}}
}
