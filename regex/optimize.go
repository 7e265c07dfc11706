package regex

// followBudget bounds how far follow looks before it gives up, so that compiling stays quick.
const followBudget = 256

// optimize finds out where the machine can do without ways back.
func (p *program) optimize() {
	p.threadJumps()
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
			f := p.follow(i + 1)
			if !f.any && !f.meets(in.set) {
				in.bits |= instPossessive
				continue
			}
			in.next = f.filter()
		case opRunLazy:
			f := p.follow(i + 1)
			if in.next = f.filter(); in.next != nil && !f.meets(in.set) {
				in.op, in.next = opRun, nil
				in.bits |= instPossessive
			}
		case opSplit:
			in.next, in.other = p.follow(int(in.x)).filter(), p.follow(int(in.y)).filter()
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

// meets reports whether a member of set can start where f begins.
func (f *follow) meets(set *byteSet) bool {
	for b := range f.bytes {
		if f.bytes[b] && set.first[b] {
			return true
		}
	}
	return false
}

// filter returns f if it rules anything out, completed for use, else nil.
func (f *follow) filter() *follow {
	if f.any || f.accept {
		return nil
	}
	n := 0
	for b := range f.bytes {
		if f.bytes[b] {
			n++
			f.only = byte(b)
			f.inside = f.inside || b >= 0x80 && b < 0xC0
		}
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

// follow works out what can come at pc.
func (p *program) follow(pc int) *follow {
	f := &follow{}
	seen := make(map[place]bool)
	p.addFollow(f, place{pc: pc}, seen)
	return f
}

func (p *program) addFollow(f *follow, at place, seen map[place]bool) {
	for !f.any {
		if seen[at] {
			return
		}
		seen[at] = true
		if len(seen) > followBudget {
			f.any = true
			return
		}
		in := &p.code[at.pc]
		next := place{at.pc + 1, at.depth, at.cond}
		switch in.op {
		case opMatch:
			f.endHere(at)
			return
		case opFail:
			return
		case opByte:
			f.bytes[in.b] = true
			return
		case opLiteral:
			f.bytes[in.lit[0]] = true
			return
		case opSet:
			f.addSet(in.set)
			return
		case opRun, opRunLazy, opCaptureRun, opUntil, opSpan:
			f.addSet(in.set)
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
			p.addFollow(f, place{int(in.x), at.depth, at.cond}, seen)
			next.pc = int(in.y)
		case opLoopClose:
			p.addFollow(f, place{int(in.y), at.depth, at.cond}, seen)
		case opCondition:
			p.addFollow(f, place{int(in.x), at.depth, true}, seen)
			next.cond = true
		case opEndText:
			f.end = true
			return
		case opEndLine, opEndTextOrLine:
			f.bytes['\n'], f.end = true, true
			return
		case opBeginText, opBeginLine, opSearchStart, opBoundary:
			next.cond = true
		case opAtomic, opLook:
			next.depth++
		case opAtomicEnd, opLookEnd:
			if at.depth == 0 {
				f.endHere(at)
				return
			}
			next.depth--
			next.cond = next.cond || in.op == opLookEnd
		case opNotLook, opBehind, opNotBehind:
			next.pc, next.cond = int(in.y), true
		case opNotLookEnd:
			f.endHere(at)
			return
		case opCall:
			next.pc = int(in.x)
		case opBackref, opReturn:
			f.any = true
			return
		}
		at = next
	}
}

// endHere notes that the program can succeed at a place without matching more.
func (f *follow) endHere(at place) {
	if at.cond || at.depth > 0 {
		f.any = true
		return
	}
	f.accept = true
}

func (f *follow) addSet(set *byteSet) {
	for b := range set.first {
		f.bytes[b] = f.bytes[b] || set.first[b]
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
