//go:build !linux

package rawinput

import "net"

// peerPID is told by Linux only.
func peerPID(*net.UnixConn) (pid int, ok bool) { return 0, false }
