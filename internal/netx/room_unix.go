//go:build unix

package netx

import (
	"net"
	"syscall"
)

// reserve is how many of limit file descriptors connections leave to files,
// outputs and the admin API.
func reserve(limit uint64) uint64 { return min(limit/8, 256) }

// crowded tells whether a new connection takes a file descriptor of the
// reserve. The system gives the lowest number that is free (POSIX, open), so a
// high one means that there are few left below the limit.
func crowded(conn net.Conn) bool {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	var number uintptr
	if raw.Control(func(fd uintptr) { number = fd }) != nil {
		return false
	}
	var most syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &most) != nil {
		return false
	}
	limit := uint64(most.Cur)
	return uint64(number) >= limit-reserve(limit)
}
