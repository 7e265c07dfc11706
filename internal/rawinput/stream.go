package rawinput

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/kagarilog/kagari/event"
)

// Stream emits what arrives on conn until it ends, ctx ends or it sends
// something too long. One batch holds what one read gave.
func (r *Reader) Stream(ctx context.Context, conn net.Conn, out Emitter) {
	d := &decoder{Reader: r, peer: Peer(conn)}
	rest, err := Pump(conn, r.limit, func(buf []byte) (int, error) { return d.take(ctx, buf, out) })
	if errors.Is(err, ErrTooLong) {
		r.env.Reject("message_too_long", 1)
	} else {
		// A value that looked unfinished may be complete all the same.
		d.forget()
		if used, err := d.take(ctx, rest, out); err == nil {
			d.unfinished(rest[used:])
		}
	}
	if ctx.Err() == nil {
		Report(r.env.Log, d.peer, err)
	}
}

// take emits the complete messages of buf.
func (d *decoder) take(ctx context.Context, buf []byte, out Emitter) (used int, err error) {
	if d.seen == 0 && d.values.seen == 0 {
		used = blank(buf)
	}
	b := event.NewBatch(d.env.Tag)
	used += d.decode(b, buf[used:], time.Now().UnixNano())
	if len(b.Events) == 0 {
		b.Free()
		return used, nil
	}
	return used, EmitAll(ctx, b, out, d.peer, d.env.Log, d.env.Reject)
}

// EmitAll emits b. What the router does not take any more, which only happens
// at its end, is lost; that is logged and counted.
func EmitAll(ctx context.Context, b *event.Batch, out Emitter, peer string, log *slog.Logger, reject func(reason string, n int)) error {
	n := len(b.Events)
	err := out.Emit(ctx, b)
	if err != nil {
		reject("not_taken", n)
		log.Error("messages are lost: the router does not take them any more", "peer", peer, "messages", n, "error", err)
	}
	return err
}

// blank returns how many bytes to skip at the start of what was read: one, if
// that is a CR or LF, as in Fluent Bit.
func blank(buf []byte) int {
	if len(buf) > 0 && (buf[0] == '\r' || buf[0] == '\n') {
		return 1
	}
	return 0
}

// unfinished counts what is left of a source that has ended.
func (d *decoder) unfinished(rest []byte) {
	for len(rest) > 0 && Separates(rest[0]) {
		rest = rest[1:]
	}
	if len(rest) == 0 {
		return
	}
	d.env.Reject("unfinished_message", 1)
	d.env.Log.Warn("an unfinished message is dropped", "peer", d.peer, "bytes", len(rest), "text", string(rest[:min(len(rest), 200)]))
}

// Report logs why a connection ended, if that is worth it.
func Report(log *slog.Logger, peer string, err error) {
	switch {
	case err == nil:
	case errors.Is(err, os.ErrDeadlineExceeded):
		log.Info("a connection was idle for too long", "peer", peer)
	default:
		log.Warn("a connection was closed", "peer", peer, "error", err)
	}
}

// Datagrams emits what arrives on conn until ctx ends: one batch for each
// datagram. What is unfinished at the end of a datagram is dropped. The error
// is that of the socket or of out.
func (r *Reader) Datagrams(ctx context.Context, conn net.PacketConn, out Emitter) error {
	d := &decoder{Reader: r}
	return PumpDatagrams(ctx, conn, r.limit+1, func(data []byte, from netip.AddrPort, cut bool) error {
		if cut {
			r.env.Reject("datagram_cut", 1)
			r.env.Log.Warn("a datagram does not fit into buffer_size; its end is lost", "bytes", len(data))
		}
		if r.key != "" {
			d.peer = Source(from)
		}
		d.forget()
		b := event.NewBatch(r.env.Tag)
		used := blank(data)
		used += d.decode(b, data[used:], time.Now().UnixNano())
		d.unfinished(data[used:])
		if len(b.Events) == 0 {
			b.Free()
			return nil
		}
		return EmitAll(ctx, b, out, d.peer, r.env.Log, r.env.Reject)
	})
}
