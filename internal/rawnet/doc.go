// Package rawnet is what the inputs tcp, udp and unix_socket share: their
// options and the way from bytes to events.
//
// [Options] is the option group; its Reader is made once per input. A
// [Reader] turns a connection ([Reader.Stream]) or a datagram
// ([Reader.Datagram]) into events. Two formats exist, as in Fluent Bit: JSON
// values after each other, and text cut by a separator.
//
// What is broken is counted and logged and never takes its neighbours with it,
// where Fluent Bit throws away everything that arrived together.
package rawnet
