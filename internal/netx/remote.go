package netx

import "github.com/kagarilog/kagari/option"

// Remote is the options of the host that an output sends to.
type Remote struct {
	Host string
	Port int
	IPv6 bool
}

// Fields binds the options; port is the default one, and role what the host is
// called, such as server.
func (r *Remote) Fields(port int, role string) []option.Field {
	return []option.Field{
		option.String(&r.Host, "host", "127.0.0.1", "Host of the "+role+"."),
		option.Int(&r.Port, "port", port, "Port of the "+role+"."),
		option.Bool(&r.IPv6, "ipv6", false, "Prefer IPv6 addresses of the host."),
	}
}

// Address returns host:port.
func (r *Remote) Address() string { return HostPort(r.Host, r.Port) }

// Prefer makes c prefer the addresses that r asks for.
func (r *Remote) Prefer(c *Client) { c.PreferIPv6 = c.PreferIPv6 || r.IPv6 }
