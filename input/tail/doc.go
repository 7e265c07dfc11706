// Package tail follows text files and makes a record of every line.
//
// An [Input] has two sides that share its files. The keeper, one goroutine,
// knows the file system: it finds files, notices growth, rotation and removal,
// closes what is done with and stores offsets. The reader, the goroutine of
// Run, takes files from a queue in turn, reads a piece of one, cuts it into
// lines and emits them as one batch. While Emit blocks, the reader rests and
// the keeper goes on, so that files that are rotated meanwhile are held open
// and nothing in them is lost.
//
//	         scan, watch, check          queue                    Emit
//	paths ────────────────────> keeper ───────> reader, one turn ──────> engine
//	                              │  ^                  │                  │
//	                     database <─┘                   v                  │
//	                              └──────────────── ledger <───────────────┘
//	                                  offsets               acks
//
// A file is never read ahead of what was emitted: an unfinished line is read
// again when it has grown, so that an idle file costs no buffer. Each file has
// a ledger of the batches that are not acknowledged yet; the offset in the
// database is the end of the last line of which everything before is.
//
// Lines may be put together to records by a joiner that each file has. What it
// holds is read but not emitted: the mark that may be stored stays in front of it.
//
// Files are told apart by device and inode. As inodes are used again, and as
// files are truncated and written anew, the bytes in front of the offset are
// compared whenever reading goes on.
package tail
