package rawnet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/kagarilog/kagari/event"
)

// firstBuffer is what a connection begins with, in bytes.
const firstBuffer = 16 << 10

// Stream emits what arrives on conn until it ends, ctx ends or it sends
// something too long. One batch holds what one read gave.
func (r *Reader) Stream(ctx context.Context, conn net.Conn, out Emitter) {
	d := &decoder{Reader: r, peer: Peer(conn)}
	err := d.stream(ctx, conn, out)
	switch {
	case err == nil, ctx.Err() != nil:
	case errors.Is(err, os.ErrDeadlineExceeded):
		r.env.Log.Info("a connection was idle for too long", "peer", d.peer)
	default:
		r.env.Log.Warn("a connection ended in an error", "peer", d.peer, "error", err)
	}
}

func (d *decoder) stream(ctx context.Context, conn io.Reader, out Emitter) error {
	buf := make([]byte, 0, min(firstBuffer, d.limit))
	for {
		if len(buf) == cap(buf) {
			if len(buf) >= d.limit {
				d.env.Reject("message_too_long", 1)
				return fmt.Errorf("a message does not fit into buffer_size (%d KiB), so the connection is closed", (d.limit+1)/1024)
			}
			bigger := make([]byte, len(buf), min(2*cap(buf), d.limit))
			copy(bigger, buf)
			buf = bigger
		}
		n, readErr := conn.Read(buf[len(buf):cap(buf)])
		if n > 0 {
			buf = buf[:len(buf)+n]
			var err error
			if buf, err = d.take(ctx, buf, out); err != nil {
				return err
			}
		}
		if readErr != nil {
			// A value that looked unfinished may be complete all the same.
			d.forget()
			var err error
			if buf, err = d.take(ctx, buf, out); err != nil {
				return err
			}
			d.unfinished(buf)
			if errors.Is(readErr, io.EOF) {
				return nil
			}
			return readErr
		}
	}
}

// take emits the complete messages of buf and returns what is left.
func (d *decoder) take(ctx context.Context, buf []byte, out Emitter) ([]byte, error) {
	used := 0
	if d.seen == 0 {
		used = blank(buf)
	}
	b := event.NewBatch(d.env.Tag)
	used += d.decode(b, buf[used:], time.Now().UnixNano())
	if len(b.Events) == 0 {
		b.Free()
	} else if err := out.Emit(ctx, b); err != nil {
		return buf, err
	}
	left := copy(buf, buf[used:])
	if left == 0 && cap(buf) > firstBuffer {
		return make([]byte, 0, min(firstBuffer, d.limit)), nil
	}
	return buf[:left], nil
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
	for len(rest) > 0 && separates(rest[0]) {
		rest = rest[1:]
	}
	if len(rest) == 0 {
		return
	}
	d.env.Reject("unfinished_message", 1)
	d.env.Log.Warn("an unfinished message is dropped", "peer", d.peer, "bytes", len(rest), "text", string(rest[:min(len(rest), 200)]))
}

// datagramMost is the size of the largest datagram over UDP. Unix sockets may
// carry larger ones; these need a larger buffer_size.
const datagramMost = 1 << 16

// Datagrams emits what arrives on conn until ctx ends: one batch for each
// datagram. What is unfinished at the end of a datagram is dropped. The error
// is that of the socket or of out.
func (r *Reader) Datagrams(ctx context.Context, conn net.PacketConn, out Emitter) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	udp, _ := conn.(*net.UDPConn)
	d := &decoder{Reader: r}
	// One byte more tells whether something was cut off.
	buf := make([]byte, max(r.limit+1, datagramMost)+1)
	for {
		n, from, err := receive(udp, conn, buf)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read datagram: %w", err)
		}
		data := buf[:n]
		if n == len(buf) {
			r.env.Reject("datagram_cut", 1)
			r.env.Log.Warn("a datagram does not fit into buffer_size; its end is lost", "bytes", n-1)
			data = buf[:n-1]
		}
		if r.key != "" {
			d.peer = source(from)
		}
		b := event.NewBatch(r.env.Tag)
		d.datagram(b, data, time.Now().UnixNano())
		if len(b.Events) == 0 {
			b.Free()
		} else if err := out.Emit(ctx, b); err != nil {
			return err
		}
	}
}

// receive reads a datagram, from udp without an allocation.
func receive(udp *net.UDPConn, conn net.PacketConn, buf []byte) (n int, from netip.AddrPort, err error) {
	if udp != nil {
		return udp.ReadFromUDPAddrPort(buf)
	}
	n, _, err = conn.ReadFrom(buf)
	return n, from, err
}

// datagram adds the messages of a datagram to b.
func (d *decoder) datagram(b *event.Batch, data []byte, now int64) {
	d.forget()
	used := blank(data)
	used += d.decode(b, data[used:], now)
	d.unfinished(data[used:])
}
