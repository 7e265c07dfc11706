//go:build unix

package netx

import (
	"net"
	"syscall"
)

// ReadArrived reads what has arrived on a plain connection and not been read,
// without waiting and whatever its deadlines say. It returns 0 if there is
// nothing, and for TLS, where bytes are not data.
func ReadArrived(conn net.Conn, p []byte) int {
	if overTLS(conn) {
		return 0
	}
	sc, ok := socketOf(conn).(syscall.Conn)
	if !ok {
		return 0
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0
	}
	n := 0
	err = raw.Control(func(fd uintptr) {
		n, _, _ = syscall.Recvfrom(int(fd), p, syscall.MSG_DONTWAIT)
	})
	if err != nil || n < 0 {
		return 0
	}
	return n
}
