// Package event holds log records on their way through the router.
//
// There is one representation: msgpack bytes. A [Value] is one encoded value
// and is not decoded until somebody asks. An [Event] is a time, metadata and a
// record; a [Batch] is the events of one tag with the arena that owns their
// bytes; [Chunk] is the immutable form, the very bytes that go to disk and into
// the forward protocol:
//
//	chunk data = entry*
//	entry      = 0x92 [0x92 time meta] record
//	time       = 0xd7 0x00 sec(uint32 BE) nsec(uint32 BE)    EventTime of the forward protocol
//	meta       = map, 0x80 when empty
//	record     = map
//
// The one sharing rule: a batch is mutable and has one owner; a chunk is
// immutable and shared.
//
// An event's record has two forms. It arrives packed, as one msgpack map, and
// stays so if nobody looks inside; Fields opens it into a slice of top-level
// fields that alias the packed bytes. Sealing copies a packed record in one
// move and an opened one field by field.
package event
