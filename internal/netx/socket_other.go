//go:build !unix

package netx

import (
	"errors"
	"net"
	"syscall"
)

func sharePort(string, string, syscall.RawConn) error {
	return errors.New("net.share_port is not supported on this system")
}

func setBacklog(net.Listener, int) {}
