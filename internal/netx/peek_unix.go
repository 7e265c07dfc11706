//go:build unix

package netx

import (
	"net"
	"syscall"
)

const havePeek = true

// peek looks at what the socket of conn holds without taking it.
func peek(conn net.Conn) peeked {
	sc, ok := socketOf(conn).(syscall.Conn)
	if !ok {
		return peekUnknown
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return peekClosed
	}
	found := peekUnknown
	err = raw.Control(func(fd uintptr) {
		var one [1]byte
		n, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		switch {
		case n > 0 || err == syscall.EINTR:
		case err == syscall.EAGAIN || err == syscall.EWOULDBLOCK:
			found = peekQuiet
		default:
			found = peekClosed
		}
	})
	if err != nil {
		return peekClosed
	}
	return found
}
