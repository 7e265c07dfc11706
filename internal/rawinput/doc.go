// Package rawinput is what the inputs stdin, tcp, udp, unix_socket and syslog
// share on the way from bytes to events.
//
// [Pump] and [PumpDatagrams] read streams and datagrams; [Values] finds the
// JSON values in a stream. For tcp, udp and unix_socket there is more: the
// option group [Options] makes a [Reader], which turns a connection
// ([Reader.Stream]) or datagrams ([Reader.Datagrams]) into events in one of two
// formats, JSON values after each other or text cut by a separator. [Endpoint]
// listens and hands each its work.
//
// What is broken is counted and logged and never takes its neighbours with it,
// where Fluent Bit throws away everything that arrived together.
package rawinput
