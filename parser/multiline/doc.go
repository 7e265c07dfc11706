// Package multiline joins lines that belong together, such as those of a stack
// trace or the parts into which a container runtime cuts a long line.
//
// A [Parser] is a definition: one of the built-in ones or a [MULTILINE_PARSER]
// section. A [Joiner] is what a plugin makes of its multiline.parser options:
// parsers that are tried in order. Both are immutable and safe for concurrent
// use. A [Stream] is the state of one source, such as a file or a tag, and has
// one user at a time:
//
//	joiner, err := multiline.NewJoiner(parsers, multiline.Options{BufferLimit: limit})
//	s := joiner.NewStream()
//	for … {
//		s.Line(batch, line, offset, now) // adds records to batch as they get complete
//	}
//	s.Expire(batch, now) // when there is nothing more to read at the moment
//	s.Flush(batch, now)  // when the source ends
//
// What is held back in a stream is asked for with [Stream.Pending], so that a
// source does not acknowledge it, and when it is due with [Stream.Deadline].
//
// The rules are those of Fluent Bit 5.1, src/multiline. A line is offered to the
// parser that took the one before, then to the others in order. A parser of type
// regex has states and takes a line that continues the record of the current
// state or that starts a record. One of type endswith or equal takes every line
// and joins them up to one that matches. A parser with a line parser takes only
// lines that this one reads; then the value of key_content is joined and the
// other fields are those of the first line. A line that no parser takes ends
// all records of the stream and becomes a record of its own.
//
// As in Fluent Bit, too, a record's last line goes out once more, as a record of
// its own, if its rule leads to a state from which records begin, unless the next
// line belongs to a record of the same parser. That is for lines that come as
// records or become records by a line parser; see [Parser.Repeats].
//
// Differences from Fluent Bit: the last parser is remembered for each stream
// and not for the whole plugin, so that files do not disturb each other. A record
// that is not complete is flushed flush_timeout after its first line, and not at
// the next tick of a common clock. Lines shorter than match_string are joined and
// not lost, the record of an empty first line is not lost, and metadata stays
// with the record that it came with. A record that follows one whose last line is
// repeated has its own fields and not those of that line. Records of the types
// endswith and equal, which have no limit there, are given out in pieces of the
// larger of 2 MiB and multiline_buffer_limit. More than 64 groups in one stream
// flush the oldest; with more than six Fluent Bit ends.
package multiline
