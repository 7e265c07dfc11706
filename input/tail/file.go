package tail

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// file is one open file. Every field says who uses it; those of the reader are
// touched by the keeper only before the file is first pushed.
type file struct {
	// Fixed.
	id     fileID
	path   string // as it was found first; the value of Path_Key
	tag    string
	fields []byte  // encoded: path, and the key of the offset, of every record
	raw    []byte  // encoded: everything of an unparsed record up to the offset or line
	link   bool    // path is a symbolic link
	ledger *ledger // another one after the file was copied and truncated

	// The queue's.
	turn turnState

	// Anybody's.
	pos    atomic.Int64 // how far the file was looked at: offset+partial
	failed atomic.Bool  // given up
	finish atomic.Bool  // no more will come: emit an unfinished last line
	shrunk atomic.Bool  // it was seen to be shorter than before; tells of a truncation while nothing is read
	holds  atomic.Bool  // lines were read that are not emitted, as they are to be joined

	// The reader's.
	f        *os.File
	after    *file  // what had the name before: its lines come first
	offset   int64  // what is next to be read: a line, or with skipping the rest of one
	before   marker // the bytes in front of offset
	partial  int64  // bytes behind offset in which no line ends
	skipping bool   // offset is inside of a line that is too long
	mtime    time.Time
	unread   bool // was not read to its end yet
	unicode  unicodeKind
	gzip     *gzipState // nil for a file that is not compressed
	join     joiner     // nil if lines are not joined
	dropped  int64      // bytes read since the cache was told to drop them

	// The keeper's.
	content  generation
	name     string    // current name, as far as known
	seen     int       // number of the last scan that found it
	size     int64     // at the last look
	modified time.Time // at the last look
	grown    time.Time // last look that saw a change
	left     time.Time // when it was rotated away or removed; zero if it was not
	removed  bool      // it has no name any more
	row      int64     // in the database; 0 for none yet
	fresh    bool      // the reader does not have it yet, see admit
}

// restart begins anew at the head of a file that was truncated or replaced.
func (f *file) restart() {
	f.offset, f.partial, f.skipping, f.before = 0, 0, false, marker{}
	f.pos.Store(0)
	f.shrunk.Store(false)
	f.ledger.start(mark{})
	if f.gzip != nil {
		f.gzip.reset(0)
	}
}

// window returns the bytes in front of offset, as many as there are up to
// markerSize.
func (f *file) window(offset int64) (m marker, err error) {
	n := min(offset, markerSize)
	if _, err := io.ReadFull(io.NewSectionReader(f.f, offset-n, n), m.tail[:n]); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return marker{}, nil
		}
		return marker{}, err
	}
	m.n = int(n)
	return m, nil
}
