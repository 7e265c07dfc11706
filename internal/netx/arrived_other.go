//go:build !unix

package netx

import "net"

// ReadArrived reads nothing on this system.
func ReadArrived(net.Conn, []byte) int { return 0 }
