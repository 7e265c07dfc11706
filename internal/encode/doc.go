// Package encode writes chunks in the formats that many outputs share under
// the option `format`: msgpack, json, json_lines and json_stream, with the
// event's time under json_date_key in one of the forms of json_date_format.
//
//	msgpack      the chunk's bytes: [[time, metadata], record] after the other
//	json         [{"date":1.5,"a":1},{"date":2.5,"a":2}]
//	json_lines   {"date":1.5,"a":1}\n{"date":2.5,"a":2}\n
//	json_stream  {"date":1.5,"a":1}{"date":2.5,"a":2}
//
// A [Config] is the options, an [Encoder] made from it writes. The text is that
// of Fluent Bit 5.1.1 to the byte, in one pass over the chunk.
package encode
