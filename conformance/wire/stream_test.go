package wire

import (
	"fmt"
	"net"
)

// stream keeps all bytes of a connection as one message.
func (l *listener) stream(c net.Conn) {
	m := &message{listener: l.spec.Name, proto: "tcp"}
	buf := make([]byte, 64<<10)
	for added := false; ; {
		n, err := c.Read(buf)
		if n > 0 && !added {
			l.journal.add(m)
			added = true
		}
		if n > 0 {
			l.journal.grow(m, buf[:n])
		}
		if err != nil {
			return
		}
	}
}

// datagrams keeps each datagram as a message.
func (l *listener) datagrams(c net.PacketConn) {
	buf := make([]byte, 64<<10)
	for {
		n, _, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		l.journal.add(&message{listener: l.spec.Name, proto: "udp", raw: append([]byte{}, buf[:n]...)})
	}
}

// streamed describes what came over a connection or in a datagram. A kind
// that waits for more datagrams takes the call away.
func streamed(x *exchange, m *message, k kind, name string) {
	x.call = map[string]any{"proto": m.proto}
	if err := k.read(x, m, m.raw); err != nil {
		x.call["problem"] = fmt.Sprintf("not understood as %s: %v", name, err)
		x.events = []any{decodeText(m.raw)}
	}
}
