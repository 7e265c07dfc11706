package rawinput

import (
	"net"
	"net/netip"
	"strconv"
)

// unavailable is the address of the other side of a unix socket where the
// system does not tell it.
const unavailable = "unix://unavailable"

// Peer names the other side of a connection as Fluent Bit does, such as
// tcp://10.0.0.7:51234, tcp://::1:51234 or, for a unix socket, unix://pid_4711.
func Peer(conn net.Conn) string {
	conn = innermost(conn)
	if u, ok := conn.(*net.UnixConn); ok {
		if pid, ok := peerPID(u); ok {
			return "unix://pid_" + strconv.Itoa(pid)
		}
		return unavailable
	}
	if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		return address("tcp", a.AddrPort())
	}
	return unavailable
}

// Source names where a datagram came from, such as udp://10.0.0.7:51234. The
// zero address is that of a unix socket.
func Source(from netip.AddrPort) string {
	if !from.IsValid() {
		return unavailable
	}
	return address("udp", from)
}

func address(network string, a netip.AddrPort) string {
	return network + "://" + a.Addr().Unmap().String() + ":" + strconv.Itoa(int(a.Port()))
}

// innermost unwraps a connection, such as one with TLS.
func innermost(conn net.Conn) net.Conn {
	for {
		outer, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return conn
		}
		conn = outer.NetConn()
	}
}
