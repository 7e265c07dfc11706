// Package netx is the network side that plugins share: option groups, dialing,
// a pool of connections, and listeners, all with TLS.
//
// [Client] and [TLS] are the option groups of everything that connects,
// [Server] and TLS those of everything that listens; their Fields compose with
// a plugin's own. A [Dialer] connects with them, through a proxy where the
// environment names one; a [Pool] keeps idle connections of a stream protocol
// for the next use and hands out only living ones. [Server.Listen] returns a
// [Listener] that outlives a lack of file descriptors; an [Endpoint] is that with
// the time between a plugin's Start and its Run.
//
// Names, defaults and meanings are those of Fluent Bit (Networking and TLS pages
// of its manual). Files named by TLS options are read on first use and again
// when they change, so that renewed certificates need no restart.
package netx
