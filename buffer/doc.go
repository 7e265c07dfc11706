// Package buffer keeps sealed chunks on disk.
//
// A [Dir] is a directory of chunk files, one chunk each, written once and
// never changed. A file is complete when it has its final name:
//
//	DIR/lock                       locked by the process that works in DIR
//	DIR/INPUT/CHUNKID.chunk        CHUNKID: 32 hexadecimal digits, in order of creation
//
//	offset  size
//	0       8     magic "KAGARI\x00\x01" (the last byte is the version)
//	8       4     header length H, big endian
//	12      H     header: msgpack map {tag, signal, count, size, created}, with the
//	              names of outputs for a chunk that a route took
//	12+H    4     CRC32C (Castagnoli) of magic, length and header
//	16+H    size  data: the entries of event.Chunk, or one OTLP message
//	...     4     CRC32C of the data
//
// What does not check out is set aside as DIR/corrupt/INPUT.CHUNKID.chunk, never
// deleted. The whole entries of a file whose data is damaged or was cut short are
// rescued: stored again as a chunk of the same name. Then the file that was set
// aside has .rescued behind its name.
//
// [List], [Stat] and [Load] read without taking the directory, beside a router.
package buffer
