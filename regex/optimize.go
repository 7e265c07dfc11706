package regex

// followBudget bounds how far follow looks before it gives up, so that compiling stays quick.
const followBudget = 256

// optimize finds out where the machine can do without ways back.
func (p *program) optimize() {
	p.threadJumps()
	ask := newFollower(p)
	for i := range p.code {
		in := &p.code[i]
		switch in.op {
		case opRun:
			if in.low == in.high {
				in.bits |= instPossessive
			}
			if in.bits&instPossessive != 0 {
				continue
			}
			next := ask.follow(i + 1)
			if !next.any && !next.meets(in.set) {
				in.bits |= instPossessive
				continue
			}
			in.next = next.filter()
		case opRunLazy:
			next := ask.follow(i + 1)
			if in.next = next.filter(); in.next != nil && !next.meets(in.set) {
				in.op, in.next = opRun, nil
				in.bits |= instPossessive
			}
		case opSplit:
			next, other := ask.follow(int(in.x)), ask.follow(int(in.y))
			in.next, in.other = next.filter(), other.filter()
		}
	}
	p.fuse()
	p.numberWays()
}

// targets calls visit for every jump target of in.
func (in *instruction) targets(visit func(t *int32)) {
	switch in.op {
	case opJump, opCondition, opCall, opUntil, opSpan:
		visit(&in.x)
	case opSplit, opCountCheck:
		visit(&in.x)
		visit(&in.y)
	case opLoopClose, opNotLook, opBehind, opNotBehind:
		visit(&in.y)
	}
}

// threadJumps lets jumps to jumps go to their end.
func (p *program) threadJumps() {
	for i := range p.code {
		p.code[i].targets(func(t *int32) {
			for hops := 0; hops < 16 && p.code[*t].op == opJump; hops++ {
				*t = p.code[*t].x
			}
		})
	}
}

// An outlook is what can come at a place of a program.
type outlook struct {
	bytes byteMask
	end   bool // the end of the text
	// accept says that the program, or a part that allows no way back into it, can succeed there.
	accept bool
	// any says that nothing is known.
	any bool
}

// meets reports whether a member of set can start what comes.
func (o *outlook) meets(set *byteSet) bool {
	for i, m := range o.bytes {
		if m&set.mask[i] != 0 {
			return true
		}
	}
	return false
}

// filter returns what o rules out in a form quick to ask, or nil if it rules nothing out.
func (o *outlook) filter() *follow {
	if o.any || o.accept {
		return nil
	}
	f := &follow{end: o.end}
	n := 0
	for b := range f.bytes {
		if o.bytes.has(byte(b)) {
			n++
			f.bytes[b], f.only = true, byte(b)
			f.inside = f.inside || b >= 0x80 && b < 0xC0
		}
	}
	if n == len(f.bytes) && f.end {
		return nil
	}
	f.hasOnly = n == 1 && !f.end
	return f
}

// A place is where follow looks, with how it came there.
type place struct {
	pc    int
	depth int  // of atomic groups and look-aheads entered on the way
	cond  bool // a condition on the position had to hold on the way
}

// maxFollowDepth is the depth of atomic groups and look-aheads up to which follow looks.
const maxFollowDepth = 3

// A follower works out what can come at places of a program.
type follower struct {
	*program
	seen  []uint32 // by place: the number of the question that led there last
	asked uint32
	count int
}

func newFollower(p *program) *follower {
	return &follower{program: p, seen: make([]uint32, 2*(maxFollowDepth+1)*len(p.code))}
}

// follow works out what can come at pc.
func (p *follower) follow(pc int) outlook {
	var o outlook
	p.asked++
	p.count = 0
	p.add(&o, place{pc: pc})
	return o
}

// visited reports whether the present question led to a place before, and notes that it did.
func (p *follower) visited(at place) bool {
	i := 2 * (at.pc*(maxFollowDepth+1) + at.depth)
	if at.cond {
		i++
	}
	before := p.seen[i] == p.asked
	p.seen[i] = p.asked
	return before
}

func (p *follower) add(o *outlook, at place) {
	for !o.any {
		p.count++
		if at.depth > maxFollowDepth || p.count > followBudget {
			o.any = true
			return
		}
		if p.visited(at) {
			return
		}
		in := &p.code[at.pc]
		next := place{at.pc + 1, at.depth, at.cond}
		switch in.op {
		case opMatch:
			o.endHere(at)
			return
		case opFail:
			return
		case opByte:
			o.bytes.add(in.b)
			return
		case opLiteral:
			o.bytes.add(in.lit[0])
			return
		case opSet:
			o.addSet(in.set)
			return
		case opRun, opRunLazy, opCaptureRun, opUntil, opSpan:
			o.addSet(in.set)
			if in.low > 0 {
				return
			}
			if in.op == opUntil || in.op == opSpan {
				next.pc = int(in.x)
				if in.bits&instSkip != 0 {
					next.pc--
				}
			}
		case opJump:
			next.pc = int(in.x)
		case opSplit, opCountCheck:
			p.add(o, place{int(in.x), at.depth, at.cond})
			next.pc = int(in.y)
		case opLoopClose:
			p.add(o, place{int(in.y), at.depth, at.cond})
		case opCondition:
			p.add(o, place{int(in.x), at.depth, true})
			next.cond = true
		case opEndText:
			o.end = true
			return
		case opEndLine, opEndTextOrLine:
			o.bytes.add('\n')
			o.end = true
			return
		case opBeginText, opBeginLine, opSearchStart, opBoundary:
			next.cond = true
		case opAtomic, opLook:
			next.depth++
		case opAtomicEnd, opLookEnd:
			if at.depth == 0 {
				o.endHere(at)
				return
			}
			next.depth--
			next.cond = next.cond || in.op == opLookEnd
		case opNotLook, opBehind, opNotBehind:
			next.pc, next.cond = int(in.y), true
		case opNotLookEnd:
			o.endHere(at)
			return
		case opCall:
			next.pc = int(in.x)
		case opBackref, opReturn:
			o.any = true
			return
		}
		at = next
	}
}

// endHere notes that the program can succeed at a place without matching more.
func (o *outlook) endHere(at place) {
	if at.cond || at.depth > 0 {
		o.any = true
		return
	}
	o.accept = true
}

func (o *outlook) addSet(set *byteSet) {
	for i, m := range set.mask {
		o.bytes[i] |= m
	}
}

// fuse joins instructions that often stand together. What is joined stays where it is, to be jumped over:
// there may be ways back into it.
func (p *program) fuse() {
	if p.keepAll || p.recursive {
		return
	}
	for i := 0; i+2 < len(p.code); i++ {
		open, run, end := &p.code[i], &p.code[i+1], &p.code[i+2]
		if open.op == opOpen && run.op == opRun && end.op == opClose && open.n == end.n && run.bits&instByteRun != 0 {
			n, sure := open.n, open.bits&instSure
			*open = *run
			open.op, open.n, open.bits = opCaptureRun, n, open.bits|sure
		}
	}
	for i := range p.code {
		in := &p.code[i]
		next := i + 1
		switch in.op {
		case opRun:
		case opCaptureRun:
			next += 2
		default:
			continue
		}
		if in.bits&instPossessive == 0 || in.bits&instByteRun == 0 {
			continue
		}
		follows := &p.code[next]
		if in.set.hasExcept && in.low <= 1 && in.high == unbounded {
			in.op, in.b = opUntil, in.set.except
			if follows.op == opByte && follows.b == in.b {
				next++
				in.bits |= instSkip
			}
		} else {
			in.op = opSpan
			if follows.op == opByte {
				next++
				in.b = follows.b
				in.bits |= instSkip
			}
		}
		in.x = int32(next)
	}
}

// numberWays numbers the instructions that are gone back to, and the runs, if it is enough to try each of them
// once at each position: what failed there once fails again. That is not so if the outcome depends on more
// than the two: on groups, on a count, on where to return to, or on a part that is committed to as a whole.
func (p *program) numberWays() {
	if p.hasRefs {
		return
	}
	fixed := p.dependent()
	number := func(pc int32, id *uint16) {
		if !fixed[pc] && *id == 0 && p.numMemo < 1<<15 {
			p.numMemo++
			*id = uint16(p.numMemo)
		}
	}
	for i := range p.code {
		in, at := &p.code[i], int32(i)
		switch in.op {
		case opSplit:
			number(in.y, &p.code[in.y].memo)
		case opRun, opRunLazy:
			number(at+1, &p.code[i+1].memo)
			number(at, &in.enter)
		case opCaptureRun:
			number(at+2, &p.code[i+2].memo)
			number(at, &in.enter)
		}
	}
}

// dependent marks the instructions whose outcome depends on more than the position.
func (p *program) dependent() []bool {
	fixed := make([]bool, len(p.code))
	mark := func(from, to int32) {
		for i := from; i < to; i++ {
			fixed[i] = true
		}
	}
	var open []int32 // where atomic groups and look-around start
	entry := int32(len(p.code))
	for i := range p.code {
		switch in, at := &p.code[i], int32(i); in.op {
		case opAtomic, opLook, opNotLook, opNotBehind:
			open = append(open, at+1)
		case opAtomicEnd, opLookEnd, opNotLookEnd:
			mark(open[len(open)-1], at+1)
			open = open[:len(open)-1]
		case opCountCheck:
			mark(at, in.y)
		case opCall:
			entry = min(entry, in.x)
		case opReturn:
			// Groups that are called lie between the first entry and the last return.
			mark(entry, at+1)
		}
	}
	return fixed
}
