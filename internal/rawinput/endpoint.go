package rawinput

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"

	"github.com/kagarilog/kagari/internal/netx"
	"github.com/kagarilog/kagari/option"
)

// Endpoint is the working part of an input that listens: on connections with Stream, on datagrams
// with Datagrams. Its fields are set once, before Start.
type Endpoint struct {
	Network string // tcp, unix, udp or unixgram
	Address string // host:port, or a path
	Mode    fs.FileMode
	Options netx.Server
	TLS     *netx.TLS // nil for datagrams
	// ReceiveBuffer is the size in bytes of the system's buffer for what was not
	// read yet; 0 leaves it to the system.
	ReceiveBuffer int

	Log    *slog.Logger
	Reject func(reason string, n int)

	// Stream reads a connection to its end. It is called on a goroutine of the
	// connection's own, which is closed when it returns.
	Stream func(ctx context.Context, conn net.Conn, out Emitter)
	// Datagrams reads until ctx ends.
	Datagrams func(ctx context.Context, conn net.PacketConn, out Emitter) error

	mu     sync.Mutex
	opened opened // by Start and not yet used by Run
}

// opened is what is listened on; one of the two.
type opened struct {
	listener *netx.Listener
	packets  net.PacketConn
}

func (o opened) Close() error {
	if o.listener != nil {
		return o.listener.Close()
	}
	if o.packets != nil {
		return o.packets.Close()
	}
	return nil
}

// Check reports contradictions in the options before anything is opened.
func (e *Endpoint) Check() error { return e.listenOptions().Check() }

func (e *Endpoint) listenOptions() netx.ListenOptions {
	return netx.ListenOptions{
		TLS: e.TLS, Mode: e.Mode, Log: e.Log,
		Reject: func(reason string) { e.Reject(reason, 1) },
	}
}

// Start listens, so that a port in use refuses the start.
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

func (e *Endpoint) open(ctx context.Context) (o opened, err error) {
	var addr net.Addr
	if e.Stream != nil {
		if o.listener, err = e.Options.Listen(ctx, e.Network, e.Address, e.listenOptions()); err != nil {
			return opened{}, err
		}
		addr = o.listener.Addr()
	} else {
		if o.packets, err = e.Options.ListenPacket(ctx, e.Network, e.Address, e.Mode); err != nil {
			return opened{}, err
		}
		addr = o.packets.LocalAddr()
		if err := e.enlarge(o.packets); err != nil {
			_ = o.Close()
			return opened{}, err
		}
	}
	e.Log.Info("listening", "network", e.Network, "address", addr.String())
	return o, nil
}

// enlarge sets the receive buffer of a socket, if it is one that has it.
func (e *Endpoint) enlarge(socket any) error {
	if e.ReceiveBuffer == 0 {
		return nil
	}
	s, ok := socket.(interface{ SetReadBuffer(int) error })
	if !ok {
		return nil
	}
	if err := s.SetReadBuffer(e.ReceiveBuffer); err != nil {
		return fmt.Errorf("set receive buffer to %d bytes: %w", e.ReceiveBuffer, err)
	}
	return nil
}

// take returns what Start opened, if Run has not used it before.
func (e *Endpoint) take() opened {
	e.mu.Lock()
	defer e.mu.Unlock()
	o := e.opened
	e.opened = opened{}
	return o
}

// Addr is the address that Start opened, nil if it did not or Run has begun.
func (e *Endpoint) Addr() net.Addr {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.opened.listener != nil:
		return e.opened.listener.Addr()
	case e.opened.packets != nil:
		return e.opened.packets.LocalAddr()
	}
	return nil
}

// Close closes what Start opened and Run did not use.
func (e *Endpoint) Close() error { return e.take().Close() }

// Run serves until ctx ends.
func (e *Endpoint) Run(ctx context.Context, out Emitter) error {
	o := e.take()
	if o == (opened{}) {
		var err error
		if o, err = e.open(ctx); err != nil {
			return err
		}
	}
	defer o.Close()
	if o.listener != nil {
		return o.listener.Serve(ctx, func(ctx context.Context, conn net.Conn) {
			if err := e.enlarge(innermost(conn)); err != nil {
				e.Log.Warn("the receive buffer of a connection stays as it is", "error", err)
			}
			e.Stream(ctx, conn, out)
		})
	}
	err := e.Datagrams(ctx, o.packets, out)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// Port is the options of an endpoint on the network.
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
		return "", fmt.Errorf("port %d is not between 0 and 65535", p.Number)
	}
	return net.JoinHostPort(strings.Trim(p.Listen, "[]"), strconv.Itoa(p.Number)), nil
}

// Permissions is a field of an octal number, which is read up to its first
// other character.
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
