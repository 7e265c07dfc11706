//go:build !unix

package netx

import "net"

const havePeek = false

func peek(net.Conn) peeked { return peekUnknown }
