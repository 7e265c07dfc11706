// Package deadletter keeps on disk what an output gave up.
//
// A [Box] writes letters into files of JSON lines, one letter each, and a
// [Reader] reads them back. Beside a file, what was sent again is remembered
// ([Replayed]).
//
//	DIR/letters.lock                        held by the process that writes
//	DIR/20261120T150405.123456789Z.jsonl    named after the time it was begun, in UTC
//	DIR/20261120T150405.123456789Z.jsonl.replayed
//	                                        the id of a letter per line
//
// A letter is this object in one line (here broken):
//
//	{"time":"2026-11-20T15:04:05.000000001Z",  of the event
//	 "tag":"app",
//	 "output":"http.0","reason":"retries_exhausted","attempts":2,
//	 "input":"tail.0",
//	 "error":"503 …","first_error":"…",        the last one, and the first if it was another
//	 "given_up":"2026-11-20T15:05:00Z",
//	 "id":"1879a8c0d1e2f3a4-17",               unlike that of all other letters
//	 "chunk":"…",                              as the log has it
//	 "processed":true,                         the output's own processors have run
//	 "metadata":{},                            unless empty
//	 "record":{"log":"…"},
//	 "event":"base64"}                         see below
//
// JSON cannot hold all that a record can: binary values, extension types, bytes
// that are no UTF-8, floats of 32 bits. Where the event cannot be made again
// from "time", "metadata" and "record", "event" holds it as it was: the entry
// [[time, metadata], record] in msgpack, in base64. It then counts, and the
// others are for people. In the same way "tag_bytes" stands beside a "tag" that
// is no UTF-8. Metrics have "signal":"metrics" and "payload", an OTLP message
// in base64.
//
// A line is whole when it ends in a newline. What a crash left of a last line is
// known by that; the next process goes on in a new line.
package deadletter
