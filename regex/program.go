package regex

// An opcode says what an instruction does.
type opcode uint8

const (
	opMatch   opcode = iota
	opFail           // never matches
	opByte           // one byte: b
	opLiteral        // lit
	opSet            // one character of set
	opRun            // characters of set, low to high, as many as possible
	opRunLazy        // the same, as few as possible
	opJump           // to x
	opSplit          // to x or else y
	opOpen           // group n starts here
	opClose          // group n ends here
	opBeginText
	opEndText
	opEndTextOrLine
	opBeginLine
	opEndLine
	opSearchStart
	opBoundary   // a word boundary; n is its assertion
	opKeep       // the match starts here
	opBackref    // one of groups
	opCall       // group code at x, then the next instruction
	opReturn     // from a call
	opCondition  // go on if group n is set, else to x
	opAtomic     // start of (?>…)
	opAtomicEnd  // forget the ways not tried since opAtomic
	opLook       // start of (?=…)
	opLookEnd    // go back to where opLook was, and forget the ways not tried
	opNotLook    // start of (?!…); y is what follows it
	opNotLookEnd // what must not match did
	opBehind     // start of (?<=…): go back n characters; y is what follows it
	opNotBehind  // start of (?<!…): go back n characters; y is what follows it
	opLoopOpen   // slot n remembers the position
	opLoopClose  // leave the loop for y if nothing was matched since opLoopOpen
	opCountInit  // slot n counts from 0
	opCountCheck // go to x for another round, or to y if there were enough
	opCountUp    // one more round
	opCaptureRun // opOpen, opRun and opClose in one
	opUntil      // a possessive opRun of everything but b, then to x; captured as group n if that is not 0
	opSpan       // a possessive opRun of an instByteRun set, then to x; captured as group n if that is not 0
)

// Flags of an instruction.
const (
	instPossessive = 1 << iota // opRun: never give back
	instFold                   // opBackref: ignore case
	instLevel                  // opBackref: on recursion level n
	instGreedy                 // opCountCheck
	instCaptures               // opLoopOpen, opLoopClose: groups set in the round count as progress
	instByteRun                // opRun: the members are found byte by byte
	instSure                   // opOpen: every match sets the group, so setting it need not be undone
	instSkip                   // opUntil, opSpan: b must follow and is skipped
)

// An instruction is kept small, since a program should stay in the first-level cache.
type instruction struct {
	op   opcode
	bits uint8
	b    byte
	// memo numbers the instruction as one gone back to, enter as a run about to start; 0 if it is neither.
	memo, enter uint16
	n           int32
	x, y        int32
	low, high   int32
	set         *byteSet
	lit         string
	// next is what must follow here: for opRun and opRunLazy after the run,
	// for opSplit at x. other is the same for opSplit at y. Nil if anything may.
	next, other *follow
	groups      []int32
}

// A byteMask is a set of bytes.
type byteMask [4]uint64

func (m *byteMask) add(b byte)      { m[b/64] |= 1 << (b % 64) }
func (m *byteMask) has(b byte) bool { return m[b/64]&(1<<(b%64)) != 0 }

// A follow is what can come next: the first bytes, or the end of the text.
type follow struct {
	bytes [256]bool
	end   bool
	// only is the single byte in bytes if hasOnly, and nothing else is possible.
	only    byte
	hasOnly bool
	// inside says that bytes has one that can stand inside a character.
	inside bool
}

// allows reports whether f admits position pos of s.
func (f *follow) allows(s []byte, pos int) bool {
	if pos < len(s) {
		return f.bytes[s[pos]]
	}
	return f.end
}

// A program is a compiled pattern. It is immutable.
type program struct {
	code      []instruction
	numGroups int // without the whole match
	numSlots  int
	numMemo   int // the highest number of a way that can be remembered

	recursive bool // calls can nest, so slots are saved across them
	keepAll   bool // every change must be undoable, even with no way back left: something looks at the history
	hasRefs   bool // groups influence the match

	plan searchPlan
}
