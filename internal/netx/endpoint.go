package netx

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"strconv"
	"strings"
	"sync"

	"github.com/kagarilog/kagari/option"
)

// Port is the options of an input that listens on a port.
type Port struct {
	Listen string
	Number int

	host string
	ipv6 bool
}

// Fields binds the options; def is the default port.
func (p *Port) Fields(def int) []option.Field {
	return []option.Field{
		option.String(&p.Listen, "listen", "0.0.0.0", "Address to listen on."),
		option.Int(&p.Number, "port", def, "Port to listen on."),
		option.String(&p.host, "host", "", "Accepted for compatibility and without effect, as in Fluent Bit; use `listen`."),
		option.Bool(&p.ipv6, "ipv6", false, "Accepted for compatibility. An IPv6 address in `listen` is enough."),
	}
}

// Address returns host:port.
func (p *Port) Address() (string, error) {
	if p.Number < 0 || p.Number > 65535 {
		return "", option.At("port", fmt.Errorf("port %d is not between 0 and 65535", p.Number))
	}
	return HostPort(p.Listen, p.Number), nil
}

// Or returns the network and address of the unix socket at path or, if path is
// empty, of the port.
func (p *Port) Or(path string) (network, address string, err error) {
	if path != "" {
		return "unix", path, nil
	}
	address, err = p.Address()
	return "tcp", address, err
}

// HostPort returns host:port. An IPv6 address may stand in brackets.
func HostPort(host string, port int) string {
	return net.JoinHostPort(strings.Trim(host, "[]"), strconv.Itoa(port))
}

// Permissions is a field of the permissions of a socket's file, an octal number
// that is read up to its first other character, as in Fluent Bit.
func Permissions(p *fs.FileMode, name, def, doc string) option.Field {
	*p = 0
	if n, err := strconv.ParseUint(def, 8, 32); err == nil {
		*p = fs.FileMode(n)
	}
	return option.Custom(name, option.TypeString, def, doc, func(v option.Value) error {
		text := strings.TrimSpace(v.Text)
		digits := len(text) - len(strings.TrimLeft(text, "01234567"))
		n, err := strconv.ParseUint(text[:digits], 8, 32)
		if err != nil {
			return option.Lenient("%q is not an octal number such as 0660 and is ignored", v.Text)
		}
		*p = fs.FileMode(n) & fs.ModePerm
		if digits < len(text) {
			return option.Lenient("%q is not an octal number and counts as %s", v.Text, text[:digits])
		}
		return nil
	})
}

// Endpoint is where an input listens: Start opens it, so that a port in use
// refuses the start, and Run takes it over with Open. Its fields are set once,
// before Start. It is safe for concurrent use.
type Endpoint struct {
	Network string // tcp, unix, udp or unixgram
	Address string // host:port, or a path
	Server  Server
	Options ListenOptions // must have Log; TLS and ALPN are not for datagrams
	// ReceiveBuffer is the size in bytes of the system's buffer for what was not
	// read yet; 0 leaves it to the system.
	ReceiveBuffer int

	mu     sync.Mutex
	opened Opened // by Start and not yet taken over
}

// Opened is what is listened on; one of the two.
type Opened struct {
	Listener *Listener
	Packets  net.PacketConn // of the networks udp and unixgram
}

// Close closes it.
func (o Opened) Close() error {
	if o.Listener != nil {
		return o.Listener.Close()
	}
	if o.Packets != nil {
		return o.Packets.Close()
	}
	return nil
}

func (o Opened) addr() net.Addr {
	if o.Listener != nil {
		return o.Listener.Addr()
	}
	if o.Packets != nil {
		return o.Packets.LocalAddr()
	}
	return nil
}

// Check reports contradictions in the options before anything is opened.
func (e *Endpoint) Check() error { return e.Options.Check() }

// Start listens.
func (e *Endpoint) Start(ctx context.Context) error {
	o, err := e.open(ctx)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.opened = o
	return nil
}

// Open returns what Start opened or, if that was taken over before, listens
// again. The caller closes it.
func (e *Endpoint) Open(ctx context.Context) (Opened, error) {
	if o := e.take(); o != (Opened{}) {
		return o, nil
	}
	return e.open(ctx)
}

func (e *Endpoint) open(ctx context.Context) (o Opened, err error) {
	switch e.Network {
	case "udp", "unixgram":
		if o.Packets, err = e.Server.ListenPacket(ctx, e.Network, e.Address, e.Options.Mode); err != nil {
			return Opened{}, err
		}
		if err := e.Enlarge(o.Packets); err != nil {
			_ = o.Close()
			return Opened{}, err
		}
	default:
		if o.Listener, err = e.Server.Listen(ctx, e.Network, e.Address, e.Options); err != nil {
			return Opened{}, err
		}
	}
	e.Options.Log.Info("listening", "network", e.Network, "address", o.addr().String())
	return o, nil
}

// Enlarge gives a socket the receive buffer, if it is one that has it.
func (e *Endpoint) Enlarge(socket any) error {
	s, ok := socket.(interface{ SetReadBuffer(int) error })
	if e.ReceiveBuffer == 0 || !ok {
		return nil
	}
	if err := s.SetReadBuffer(e.ReceiveBuffer); err != nil {
		return fmt.Errorf("set receive buffer to %d bytes: %w", e.ReceiveBuffer, err)
	}
	return nil
}

// take returns what Start opened, once.
func (e *Endpoint) take() Opened {
	e.mu.Lock()
	defer e.mu.Unlock()
	o := e.opened
	e.opened = Opened{}
	return o
}

// Addr is the address that Start opened, nil if it did not or Open took it over.
func (e *Endpoint) Addr() net.Addr {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.opened.addr()
}

// Close closes what Start opened and Open did not take over.
func (e *Endpoint) Close() error { return e.take().Close() }
