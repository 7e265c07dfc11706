// Package forwardproto holds what both sides of the forward protocol share:
// the messages of the handshake with their digests, option maps,
// acknowledgements, event times, and a scanner for values that arrive in
// pieces.
//
// The protocol is Fluentd's (Forward Protocol Specification v1, in the wiki of
// github.com/fluent/fluentd), with the additions of Fluent Bit: metadata beside
// the time of an entry, and the option fluent_signal.
//
//	Message        = [tag, time, record, options?]
//	Forward        = [tag, [entry, ...], options?]
//	PackedForward  = [tag, entries as one binary or string, options?]
//	entry          = [time, record] | [[time, metadata], record]
//	time           = EventTime | seconds as integer | seconds as float
//	EventTime      = ext type 0: seconds(uint32 BE) nanoseconds(uint32 BE)
//	acknowledgment = {"ack": the option "chunk"}
//
// With a shared key each side first proves that it knows it:
//
//	server  ["HELO", {"nonce": n, "auth": a, "keepalive": true}]
//	client  ["PING", host, salt, digest(salt host n key), user, digest(a user password)]
//	server  ["PONG", ok, reason, host', digest(salt host' n key)]
//
// A digest is the SHA-512 of the parts in a row, in hexadecimal. auth is empty
// where no user is asked for.
//
// Parse functions alias their argument and never panic, whatever it holds.
package forwardproto
