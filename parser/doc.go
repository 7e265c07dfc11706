// Package parser turns lines of text into records: the [PARSER] sections of a
// configuration.
//
// [New] reads the options of a section, described by [Spec], and returns a
// [Parser]. Each format is one file and implements the interface format; the
// table formats lists them. What the formats share is one file each too: the
// time of a record is read by a timeField.
//
// A Parser is immutable and safe for concurrent use. Parse allocates nothing
// but memory of the batch that the event belongs to.
package parser
