package rawinput

import (
	"context"
	"net"

	"github.com/kagarilog/kagari/internal/netx"
)

// Endpoint is the working part of an input that listens: on connections with
// Stream, on datagrams with Datagrams, as the network wants it. Its fields are
// set once, before Start.
type Endpoint struct {
	netx.Endpoint

	// Stream reads a connection to its end. It is called on a goroutine of the
	// connection's own, which is closed when it returns.
	Stream func(ctx context.Context, conn net.Conn, out Emitter)
	// Datagrams reads until ctx ends.
	Datagrams func(ctx context.Context, conn net.PacketConn, out Emitter) error
}

// Endpoint makes one that listens on address and reads with r; o is what the
// reader does not know of. The error is a contradiction in the options.
func (r *Reader) Endpoint(network, address string, s netx.Server, o netx.ListenOptions) (*Endpoint, error) {
	o.Log = r.env.Log
	o.Reject = func(reason string) { r.env.Reject(reason, 1) }
	e := &Endpoint{
		Endpoint:  netx.Endpoint{Network: network, Address: address, Server: s, Options: o},
		Stream:    r.Stream,
		Datagrams: r.Datagrams,
	}
	return e, e.Check()
}

// Run serves until ctx ends.
func (e *Endpoint) Run(ctx context.Context, out Emitter) error {
	o, err := e.Open(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	if o.Listener != nil {
		return o.Listener.Serve(ctx, func(ctx context.Context, conn net.Conn) {
			if err := e.Enlarge(innermost(conn)); err != nil {
				e.Options.Log.Warn("the receive buffer of a connection stays as it is", "error", err)
			}
			e.Stream(ctx, conn, out)
		})
	}
	err = e.Datagrams(ctx, o.Packets, out)
	if ctx.Err() != nil {
		return nil
	}
	return err
}
