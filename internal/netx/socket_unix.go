//go:build unix

package netx

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// sharePort lets other sockets bind the same port (SO_REUSEPORT).
func sharePort(network, _ string, raw syscall.RawConn) error {
	if network == "unix" || network == "unixgram" {
		return nil
	}
	var err error
	if cerr := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}); cerr != nil {
		return cerr
	}
	return err
}

// setBacklog calls listen(2) again, which only changes the length of the queue.
// That it cannot be changed is no reason not to listen.
func setBacklog(l net.Listener, n int) {
	sc, ok := l.(syscall.Conn)
	if !ok {
		return
	}
	if raw, err := sc.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _ = syscall.Listen(int(fd), n) })
	}
}
