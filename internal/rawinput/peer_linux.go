package rawinput

import (
	"net"

	"golang.org/x/sys/unix"
)

// peerPID asks the kernel which process opened the other side.
func peerPID(conn *net.UnixConn) (pid int, ok bool) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, false
	}
	err = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid, ok = int(cred.Pid), true
		}
	})
	return pid, ok && err == nil
}
