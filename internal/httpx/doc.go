// Package httpx is what plugins that speak HTTP share.
//
// For outputs: a [Client] on the connections of internal/netx that sends a body
// which is in memory and reads a bounded answer; a [Body] that compresses what
// is written to it; [OAuth2], which gets tokens. For inputs: a [Server] with
// limits on connections, headers, bodies and time, which decodes compressed
// bodies without falling for those that expand without end; [JWT], which checks
// tokens.
package httpx
