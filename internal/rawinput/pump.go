package rawinput

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"
)

// ErrTooLong says that a message does not fit into the buffer.
var ErrTooLong = errors.New("a message does not fit into the buffer")

// firstBuffer is what a connection begins with, in bytes.
const firstBuffer = 16 << 10

// Pump reads r to its end into a buffer of at most limit bytes. After every
// read it calls take with what has arrived and was not used yet; take returns
// how much of it, from the start, is used now. rest is what was never used.
//
// The error is nil at the end of r, that of take, that of reading, or
// ErrTooLong when the buffer is full and take uses nothing of it.
func Pump(r io.Reader, limit int, take func(buf []byte) (used int, err error)) (rest []byte, err error) {
	buf := make([]byte, 0, min(firstBuffer, limit))
	for {
		if len(buf) == cap(buf) {
			if len(buf) >= limit {
				return buf, ErrTooLong
			}
			bigger := make([]byte, len(buf), min(2*cap(buf), limit))
			copy(bigger, buf)
			buf = bigger
		}
		n, readErr := r.Read(buf[len(buf):cap(buf)])
		if n > 0 {
			buf = buf[:len(buf)+n]
			used, err := take(buf)
			if err != nil {
				return buf[used:], err
			}
			left := copy(buf, buf[used:])
			buf = buf[:left]
			if left == 0 && cap(buf) > firstBuffer {
				buf = make([]byte, 0, min(firstBuffer, limit))
			}
		}
		if errors.Is(readErr, io.EOF) {
			return buf, nil
		}
		if readErr != nil {
			return buf, readErr
		}
	}
}

// datagramMost is the size of the largest datagram over UDP. Unix sockets may
// carry larger ones.
const datagramMost = 1 << 16

// PumpDatagrams calls take with every datagram that arrives on conn until ctx
// ends. from is the zero address for a unix socket. cut says that the datagram
// was larger than size, or 64 KB if that is more, and lost its end. The error
// is that of the socket or of take.
func PumpDatagrams(ctx context.Context, conn net.PacketConn, size int, take func(data []byte, from netip.AddrPort, cut bool) error) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	udp, _ := conn.(*net.UDPConn)
	// One byte more tells whether something was cut off.
	buf := make([]byte, max(size, datagramMost)+1)
	for {
		var n int
		var from netip.AddrPort
		var err error
		if udp != nil {
			n, from, err = udp.ReadFromUDPAddrPort(buf) // allocates nothing
		} else {
			n, _, err = conn.ReadFrom(buf)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read datagram: %w", err)
		}
		cut := n == len(buf)
		if cut {
			n--
		}
		if err := take(buf[:n], from, cut); err != nil {
			return err
		}
	}
}
