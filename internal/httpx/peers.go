package httpx

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// peers follows the connections of a server for what the standard library does
// in silence: it says nothing of a peer that sends no valid header, and at the
// end it waits for one that has not begun to send.
type peers struct {
	log    *slog.Logger
	reject func(reason string)

	mu  sync.Mutex
	all map[net.Conn]*peer
}

// peer is one connection. What is not atomic belongs to ConnState, which is
// called by one goroutine at a time.
type peer struct {
	ending context.Context // of the server
	begun  atomic.Bool     // a request has begun since the connection was new or idle
	http2  atomic.Bool
	head   bool  // some of a header was read since then
	mark   int64 // what was read by then, in bytes
}

type peerKey struct{}

// context is for http.Server.ConnContext.
func (ps *peers) context(ctx context.Context, c net.Conn) context.Context {
	p := &peer{ending: ctx}
	ps.mu.Lock()
	ps.all[c] = p
	ps.mu.Unlock()
	return context.WithValue(ctx, peerKey{}, p)
}

// request notes that a request has begun.
func (ps *peers) request(r *http.Request) {
	if p, ok := r.Context().Value(peerKey{}).(*peer); ok {
		p.begun.Store(true)
		p.http2.Store(r.ProtoMajor > 1)
	}
}

// ending tells whether the server of a request is ending. The context of the
// request ends with an error of reading, too.
func ending(r *http.Request) bool {
	p, ok := r.Context().Value(peerKey{}).(*peer)
	return ok && p.ending.Err() != nil
}

// state is for http.Server.ConnState.
func (ps *peers) state(c net.Conn, s http.ConnState) {
	ps.mu.Lock()
	p := ps.all[c]
	if s == http.StateClosed || s == http.StateHijacked {
		delete(ps.all, c)
	}
	ps.mu.Unlock()
	if p == nil {
		return
	}
	switch s {
	case http.StateActive:
		p.head = true
	case http.StateIdle:
		if !p.begun.Load() {
			p.http2.Store(true) // others are not idle before their first request
		}
		p.begun.Store(false)
		p.head, p.mark = false, bytesRead(c)
	case http.StateClosed:
		if !p.http2.Load() && !p.begun.Load() && (p.head || bytesRead(c) > p.mark) {
			ps.reject("bad_header")
			ps.log.Warn("a connection ended before the header of a request was complete and valid", "peer", c.RemoteAddr().String())
		}
	}
}

// bytesRead is what was read of a connection without TLS. With TLS, where it
// would count more than requests, it is 0.
func bytesRead(c net.Conn) int64 {
	if counted, ok := c.(interface{ BytesRead() int64 }); ok {
		return counted.BytesRead()
	}
	return 0
}

// closeWaiting closes the connections on which no request has begun.
func (ps *peers) closeWaiting() {
	var waiting []net.Conn
	ps.mu.Lock()
	for c, p := range ps.all {
		if !p.begun.Load() && !p.http2.Load() {
			waiting = append(waiting, c)
		}
	}
	ps.mu.Unlock()
	for _, c := range waiting {
		if secure, ok := c.(*tls.Conn); ok {
			c = secure.NetConn() // without a farewell that could block
		}
		_ = c.Close()
	}
}
