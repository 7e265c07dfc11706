package regex

import (
	"bytes"
	"math"
	"sync"
)

// A frame is an entry of the machine's stack: a way not tried yet, or how to undo a change.
// It has no more than four fields, so that the compiler keeps it in registers.
type frame struct {
	what uint32 // its kind and, from bit 8 on, the group or slot
	pc   int32
	a, b int32
}

func (f *frame) kind() frameKind { return f.what & 0xFF }
func (f *frame) n() uint16       { return uint16(f.what >> 8) }

// about is what a frame of kind says about group or slot n.
func about(kind frameKind, n int32) uint32 { return kind | uint32(n)<<8 }

type frameKind = uint32

const (
	frameWay    frameKind = iota // go on at pc, position a
	frameRun                     // the run before pc can also end at a, and give back down to b
	frameLazy                    // the run before pc ended at a and can take more up to b
	frameGroup                   // group n was a, b; it was opened (or closed) at position pc
	frameSlot                    // slot n was a
	frameKeep                    // the match started at a
	frameCall                    // return to pc; the call around it is frame a
	frameReturn                  // the call returned from is frame a
	frameAtomic                  // an atomic group starts
	frameLook                    // a look-ahead starts at position a
	frameNot                     // a negative look-around starts: go on at pc, position a, if it fails
)

// Limits on what one call may use.
const (
	// stepBase and stepsPerByte bound the ways tried: about 20 ms at 10 ns each for a short text.
	stepBase     = 2 << 20
	stepsPerByte = 1 << 10
	// memoAfter is the number of ways tried per byte of text after which it pays to remember them.
	memoAfter = 64
	// maxMemoWords bounds the memory for that, in 8-byte words.
	maxMemoWords = 1 << 20
	// maxFrames bounds the stack: 32 MiB.
	maxFrames = 2 << 20
	// keepFrames and keepMemoWords are what a pooled machine may hold on to.
	keepFrames    = 1 << 12
	keepMemoWords = 1 << 12
)

// A machine is the state of a match. It belongs to one call at a time.
type machine struct {
	stack []frame
	slots []int32
	memo  []uint64
	// stride is the number of memo bits for one way; 0 while nothing is remembered.
	stride  int
	steps   int // left
	memoAt  int // the number of steps left at which to start remembering
	keep    int32
	callTop int32 // the frame of the innermost call, or -1
}

var machines = sync.Pool{New: func() any { return &machine{stack: make([]frame, 0, 64)} }}

// getMachine returns a machine ready for p and a text of n bytes; putMachine gives it back.
func getMachine(p *program, n int) *machine {
	m := machines.Get().(*machine)
	if cap(m.slots) < p.numSlots {
		m.slots = make([]int32, p.numSlots)
	}
	m.slots = m.slots[:p.numSlots]
	m.steps = stepBase + stepsPerByte*n
	m.memoAt = math.MinInt
	if p.numMemo > 0 && p.numMemo*(n+1) <= 64*maxMemoWords {
		m.memoAt = m.steps - memoAfter*(n+64)
	}
	m.stride = 0
	return m
}

func putMachine(m *machine) {
	if cap(m.stack) > keepFrames {
		m.stack = make([]frame, 0, 64)
	}
	if cap(m.memo) > keepMemoWords {
		m.memo = nil
	}
	machines.Put(m)
}

// remember makes room for one bit per way back and position.
func (m *machine) remember(p *program, n int) {
	m.memoAt = math.MinInt
	m.stride = n + 1
	words := (p.numMemo*m.stride + 63) / 64
	if cap(m.memo) < words {
		m.memo = make([]uint64, words)
		return
	}
	m.memo = m.memo[:words]
	clear(m.memo)
}

// tried reports whether the way to the instruction with number id at pos was taken before, and notes it.
func (m *machine) tried(id uint16, pos int) bool {
	i := (int(id)-1)*m.stride + pos
	w, bit := &m.memo[i/64], uint64(1)<<(i%64)
	if *w&bit != 0 {
		return true
	}
	*w |= bit
	return false
}

// commit forgets the ways not tried since the last frame of kind mark, but not how to undo changes.
// It returns that frame and the shortened stack.
func (p *program) commit(st []frame, mark frameKind) (frame, []frame) {
	i := len(st) - 1
	for st[i].kind() != mark {
		i--
	}
	marked := st[i]
	rest := st[i+1:]
	st = st[:i]
	if i == 0 && !p.keepAll {
		return marked, st
	}
	for _, f := range rest {
		switch f.kind() {
		case frameGroup, frameSlot, frameKeep, frameCall, frameReturn:
			st = append(st, f)
		}
	}
	return marked, st
}

// undo takes back the change that f notes.
func (m *machine) undo(f *frame, caps []int) {
	switch f.kind() {
	case frameGroup:
		n := f.n()
		caps[2*n], caps[2*n+1] = int(f.a), int(f.b)
	case frameSlot:
		m.slots[f.n()] = f.a
	case frameKeep:
		m.keep = f.a
	case frameCall, frameReturn:
		m.callTop = f.a
	}
}

// openSlot is the slot that holds where group n was opened in the innermost call, if calls can nest.
func (p *program) openSlot(n int32) int32 { return int32(p.numSlots-1-p.numGroups) + n }

// openNested notes in its slot that group n is open.
func (m *machine) openNested(st []frame, p *program, n, pos int32) []frame {
	slot := p.openSlot(n)
	st = append(st, frame{about(frameSlot, slot), 0, m.slots[slot], 0})
	m.slots[slot] = pos
	return st
}

// restore gives the slots the values they had when the innermost call was made.
func (m *machine) restore(st []frame) []frame {
	for i, now := range m.slots {
		if before := st[int(m.callTop)+1+i].a; before != now {
			st = append(st, frame{about(frameSlot, int32(i)), 0, now, 0})
			m.slots[i] = before
		}
	}
	return st
}

// A roundKind says what a round of a loop achieved.
type roundKind uint8

const (
	roundProgress roundKind = iota
	roundEmpty
	roundStale
)

// round judges a round that matched nothing, in a pattern that refers to groups.
// Onigmo counts it as progress if it set a group that was unset or not empty,
// and lets it fail if a group was empty somewhere else.
// A group that ends up as it was before is no progress, or the loop would never end.
func round(st []frame, caps []int, slot, pos int32) roundKind {
	i := len(st) - 1
	for i >= 0 && st[i].what != about(frameSlot, slot) {
		i--
	}
	kind := roundEmpty
	frames := st[i+1:]
	for i := range frames {
		f := &frames[i]
		n := f.n()
		switch {
		case f.kind() != frameGroup || f.pc < 0 || int(f.a) == caps[2*n] && int(f.b) == caps[2*n+1]:
		case setBefore(frames[:i], f.what):
		case f.b < 0 || f.a != f.b:
			return roundProgress
		case f.b != pos:
			kind = roundStale
		}
	}
	return kind
}

// setBefore reports whether a frame says that a group was opened.
func setBefore(frames []frame, what uint32) bool {
	for _, f := range frames {
		if f.what == what && f.pc >= 0 {
			return true
		}
	}
	return false
}

// search finds the first match in s from start on, or only there if prefix is set, and returns its groups in caps[:0].
func (p *program) search(s []byte, start int, prefix bool, caps []int) ([]int, bool, error) {
	n := 2 * (p.numGroups + 1)
	switch {
	case start < 0 || start > len(s):
		return caps[:0], false, nil
	case len(s) > math.MaxInt32:
		return caps[:0], false, ErrStepLimit
	case cap(caps) < n:
		caps = make([]int, n)
	}
	m := getMachine(p, len(s))
	var r status
	if prefix {
		r = p.run(m, s, caps[:n], 0, start, start)
	} else {
		r = p.find(m, s, caps[:n], start)
	}
	putMachine(m)
	switch r {
	case matched:
		return caps[:n], true, nil
	case outOfSteps:
		return caps[:0], false, ErrStepLimit
	}
	return caps[:0], false, nil
}

// A status is the outcome of trying to match.
type status uint8

const (
	noMatch status = iota
	matched
	outOfSteps
)

// find looks for the first match from start on.
func (p *program) find(m *machine, s []byte, caps []int, start int) status {
	plan := &p.plan
	if len(s)-start < plan.minLen {
		return noMatch
	}
	switch plan.where {
	case searchTextStart:
		if start > 0 {
			return noMatch
		}
		return p.run(m, s, caps, 0, start, start)
	case searchHere:
		return p.run(m, s, caps, 0, start, start)
	case searchLineStart:
		return p.findLine(m, s, caps, start)
	}
	if plan.need != nil && !bytes.Contains(s[start:], plan.need) {
		return noMatch
	}
	for pos := start; ; {
		if pos = plan.candidate(s, pos); pos < 0 {
			return noMatch
		}
		if r := p.run(m, s, caps, 0, pos, start); r != noMatch {
			return r
		}
		if len(s)-pos <= plan.minLen || pos == len(s) {
			return noMatch
		}
		if m.steps--; m.steps < 0 {
			return outOfSteps
		}
		next := pos + charLen(s, pos)
		if plan.run != nil {
			end, _ := plan.run.charRun(s, pos, 0, unbounded)
			next = max(next, end)
		}
		pos = next
	}
}

// findLine tries the starts of lines.
func (p *program) findLine(m *machine, s []byte, caps []int, start int) status {
	pos := start
	if start > 0 && s[start-1] != '\n' || start > 0 && start == len(s) {
		pos = nextLine(s, start)
	}
	for pos >= 0 && len(s)-pos >= p.plan.minLen {
		if r := p.run(m, s, caps, p.plan.entry, pos, start); r != noMatch {
			return r
		}
		if m.steps--; m.steps < 0 {
			return outOfSteps
		}
		pos = nextLine(s, pos)
	}
	return noMatch
}

// nextLine is where the line after the one at pos starts, or -1. The end of the text starts no line.
func nextLine(s []byte, pos int) int {
	i := bytes.IndexByte(s[pos:], '\n')
	if i < 0 || pos+i+1 >= len(s) {
		return -1
	}
	return pos + i + 1
}

// candidate is the first position from pos on where a match can start, or -1.
func (plan *searchPlan) candidate(s []byte, pos int) int {
	for len(s)-pos >= plan.minLen {
		switch f := plan.first; {
		case plan.prefix != nil:
			i := bytes.Index(s[pos:], plan.prefix)
			if i < 0 {
				return -1
			}
			pos += i
		case plan.heads != nil:
			if pos = plan.head(s, pos); pos < 0 {
				return -1
			}
		case f == nil:
			return pos
		case f.hasOnly:
			i := bytes.IndexByte(s[pos:], f.only)
			if i < 0 {
				return -1
			}
			pos += i
		default:
			for pos < len(s) && !f.bytes[s[pos]] {
				pos++
			}
			if pos == len(s) && !f.end {
				return -1
			}
		}
		if isBoundary(s, pos) {
			return pos
		}
		pos++
	}
	return -1
}

// head is the first position from pos on where what is known of the first bytes of a match holds, or -1.
func (plan *searchPlan) head(s []byte, pos int) int {
	first, second := plan.heads[0], plan.heads[1]
	for last := len(s) - len(plan.heads); pos <= last; pos++ {
		if first[s[pos]] && second[s[pos+1]] && (len(plan.heads) == 2 || plan.heads[2][s[pos+2]]) {
			return pos
		}
	}
	return -1
}
