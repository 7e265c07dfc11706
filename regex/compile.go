package regex

// expandLimit is the number of instructions up to which repetitions are written out.
const expandLimit = 64

// A compiler turns a checked tree into a program.
type compiler struct {
	*checker
	prog     *program
	captures bool
	entry    []int32 // the code of group i for calls, or -1
	calls    []int   // instructions whose target is still a group number
	unsure   int     // the number of nodes around that can leave out what is in them
	sets     map[*charRange]*byteSet
}

// compile builds the program for root. Without captures it only tells whether there is a match;
// that is not possible if groups influence the match.
func compile(c *checker, root *node, captures bool) *program {
	comp := &compiler{checker: c, captures: captures, entry: make([]int32, len(c.names)), sets: map[*charRange]*byteSet{}}
	comp.prog = &program{numGroups: len(c.names) - 1, recursive: c.recursive}
	root.walk(func(n *node) bool {
		switch n.kind {
		case nodeBackref:
			comp.prog.hasRefs = true
			comp.prog.keepAll = comp.prog.keepAll || n.hasLevel
		case nodeCondition:
			comp.prog.hasRefs = true
		}
		return true
	})
	if !captures {
		root = trimUnneeded(root)
	}
	comp.emit(root)
	comp.op(instruction{op: opMatch})
	for _, i := range comp.calls {
		comp.prog.code[i].x = comp.entry[comp.prog.code[i].n]
	}
	if comp.prog.recursive {
		comp.prog.numSlots += comp.prog.numGroups + 1
	}
	comp.prog.optimize()
	comp.prog.plan = planSearch(comp.prog, c, root)
	return comp.prog
}

// op appends an instruction and returns its index.
func (c *compiler) op(in instruction) int {
	c.prog.code = append(c.prog.code, in)
	return len(c.prog.code) - 1
}

// here is the index of the next instruction.
func (c *compiler) here() int32 { return int32(len(c.prog.code)) }

func (c *compiler) slot() int32 {
	c.prog.numSlots++
	return int32(c.prog.numSlots - 1)
}

func (c *compiler) emit(n *node) {
	switch n.kind {
	case nodeAlternate, nodeRepeat, nodeLook, nodeCondition, nodeCall:
		c.unsure++
		defer func() { c.unsure-- }()
	}
	switch n.kind {
	case nodeEmpty:
	case nodeLiteral:
		if len(n.lit) == 1 {
			c.op(instruction{op: opByte, b: n.lit[0]})
			return
		}
		c.op(instruction{op: opLiteral, lit: string(n.lit)})
	case nodeSet:
		c.emitSet(n.set)
	case nodeConcat:
		for _, s := range n.subs {
			c.emit(s)
		}
	case nodeAlternate:
		c.emitAlternate(n)
	case nodeRepeat:
		c.emitRepeat(n)
	case nodeGroup:
		c.emitGroup(n)
	case nodeOption:
		c.emit(n.subs[0])
	case nodeAtomic:
		c.emitAtomic(n)
	case nodeLook:
		c.emitLook(n)
	case nodeAssert:
		c.emitAssert(n.assert)
	case nodeBackref:
		in := instruction{op: opBackref}
		for _, g := range n.groups {
			in.groups = append(in.groups, int32(g))
		}
		if n.fold {
			in.bits |= instFold
		}
		if n.hasLevel {
			in.bits |= instLevel
			in.n = int32(n.level)
		}
		c.op(in)
	case nodeCall:
		c.calls = append(c.calls, c.op(instruction{op: opCall, n: int32(n.group)}))
	case nodeCondition:
		cond := c.op(instruction{op: opCondition, n: int32(n.group)})
		c.emit(n.subs[0])
		jump := c.op(instruction{op: opJump})
		c.prog.code[cond].x = c.here()
		c.emit(n.subs[1])
		c.prog.code[jump].x = c.here()
	default:
		panic("BUG: regex: node of unknown kind")
	}
}

func (c *compiler) emitSet(set charset) {
	if r, ok := set.single(); ok && r < 0x80 {
		c.op(instruction{op: opByte, b: byte(r)})
		return
	}
	if len(set) == 0 {
		c.op(instruction{op: opFail})
		return
	}
	c.op(instruction{op: opSet, set: c.byteSet(set)})
}

// byteSet prepares a set, which is not empty, once for all the places that share it.
func (c *compiler) byteSet(set charset) *byteSet {
	if c.sets[&set[0]] == nil {
		c.sets[&set[0]] = newByteSet(set)
	}
	return c.sets[&set[0]]
}

func (c *compiler) emitAlternate(n *node) {
	subs := mergeChars(n.subs)
	var jumps []int
	for i, s := range subs {
		if i == len(subs)-1 {
			c.emit(s)
			break
		}
		split := c.op(instruction{op: opSplit})
		c.prog.code[split].x = c.here()
		c.emit(s)
		jumps = append(jumps, c.op(instruction{op: opJump}))
		c.prog.code[split].y = c.here()
	}
	for _, j := range jumps {
		c.prog.code[j].x = c.here()
	}
}

// mergeChars joins neighbouring branches that are one character each.
func mergeChars(branches []*node) []*node {
	var out []*node
	for _, b := range branches {
		set, ok := b.isChar()
		if !ok || len(out) == 0 {
			out = append(out, b)
			continue
		}
		last := out[len(out)-1]
		if before, ok := last.isChar(); ok {
			out[len(out)-1] = &node{kind: nodeSet, offset: last.offset, set: before.union(set)}
			continue
		}
		out = append(out, b)
	}
	return out
}

func (c *compiler) emitGroup(n *node) {
	open := c.captures && n.group > 0
	body := func() {
		if open {
			in := instruction{op: opOpen, n: int32(n.group)}
			if c.unsure == 0 && !c.called[n.group] && !c.prog.hasRefs {
				in.bits = instSure
			}
			c.op(in)
		}
		c.emit(n.subs[0])
		if open {
			c.op(instruction{op: opClose, n: int32(n.group)})
		}
	}
	if !c.called[n.group] {
		body()
		return
	}
	c.calls = append(c.calls, c.op(instruction{op: opCall, n: int32(n.group)}))
	jump := c.op(instruction{op: opJump})
	c.entry[n.group] = c.here()
	body()
	c.op(instruction{op: opReturn})
	c.prog.code[jump].x = c.here()
}

func (c *compiler) emitAtomic(n *node) {
	sub := n.subs[0]
	if sub.kind == nodeRepeat && sub.greedy {
		if set, ok := sub.subs[0].isChar(); ok && sub.high != 0 {
			c.emitRun(sub, set, instPossessive)
			return
		}
	}
	c.op(instruction{op: opAtomic})
	c.emit(sub)
	c.op(instruction{op: opAtomicEnd})
}

func (c *compiler) emitLook(n *node) {
	sub := n.subs[0]
	switch {
	case n.behind && !n.negative:
		// The width is fixed, so the end of the look-behind is where it started.
		at := c.op(instruction{op: opBehind, n: int32(n.low)})
		c.emit(sub)
		c.prog.code[at].y = c.here()
	case n.behind:
		at := c.op(instruction{op: opNotBehind, n: int32(n.low)})
		c.emit(sub)
		c.op(instruction{op: opNotLookEnd})
		c.prog.code[at].y = c.here()
	case n.negative:
		at := c.op(instruction{op: opNotLook})
		c.emit(sub)
		c.op(instruction{op: opNotLookEnd})
		c.prog.code[at].y = c.here()
	default:
		c.op(instruction{op: opLook})
		c.emit(sub)
		c.op(instruction{op: opLookEnd})
	}
}

func (c *compiler) emitAssert(a assertion) {
	switch a {
	case beginText:
		c.op(instruction{op: opBeginText})
	case endText:
		c.op(instruction{op: opEndText})
	case endTextOrLine:
		c.op(instruction{op: opEndTextOrLine})
	case beginLine:
		c.op(instruction{op: opBeginLine})
	case endLine:
		c.op(instruction{op: opEndLine})
	case searchStart:
		c.op(instruction{op: opSearchStart})
	case keepOut:
		c.op(instruction{op: opKeep})
	default:
		c.op(instruction{op: opBoundary, n: int32(a)})
	}
}

// bound is an upper bound as an instruction holds it.
func bound(high int) int32 {
	if high == infinite {
		return unbounded
	}
	return int32(high)
}

func (c *compiler) emitRun(n *node, set charset, bits uint8) {
	if len(set) == 0 {
		if n.low > 0 {
			c.op(instruction{op: opFail})
		}
		return
	}
	in := instruction{op: opRun, bits: bits, set: c.byteSet(set), low: int32(n.low), high: bound(n.high)}
	if !n.greedy && n.low != n.high {
		in.op = opRunLazy
	}
	if in.set.ascii || !in.set.decodes && n.low <= 1 && n.high == infinite {
		in.bits |= instByteRun
	}
	c.op(in)
}

func (c *compiler) emitRepeat(n *node) {
	body := n.subs[0]
	if n.high == 0 {
		// Nothing to match, but groups inside can be called.
		if c.hasCalled(body) {
			jump := c.op(instruction{op: opJump})
			c.emit(body)
			c.prog.code[jump].x = c.here()
		}
		return
	}
	if set, ok := body.isChar(); ok {
		c.emitRun(n, set, 0)
		return
	}
	size := c.size(body)
	switch {
	case n.low == 0 && n.high == 1:
		c.emitOptional(n.greedy, func() { c.emit(body) })
	case n.high == infinite && n.low <= 1:
		c.emitLoop(n, body)
	case n.high == infinite && n.low*size <= expandLimit:
		for range n.low - 1 {
			c.emit(body)
		}
		c.emitLoop(&node{kind: nodeRepeat, low: 1, high: infinite, greedy: n.greedy}, body)
	case n.high != infinite && n.high*(size+1) <= expandLimit:
		for range n.low {
			c.emit(body)
		}
		var optional func(times int)
		optional = func(times int) {
			if times > 0 {
				c.emitOptional(n.greedy, func() {
					c.emit(body)
					optional(times - 1)
				})
			}
		}
		optional(n.high - n.low)
	default:
		c.emitCounted(n, body)
	}
}

func (c *compiler) hasCalled(n *node) bool {
	found := false
	n.walk(func(n *node) bool {
		found = found || n.kind == nodeGroup && c.called[n.group]
		return !found
	})
	return found
}

// split appends an opSplit whose first choice is what follows it, if greedy; settle sets the other one.
func (c *compiler) split(greedy bool) (settle func(target int32)) {
	at := c.op(instruction{op: opSplit})
	in := func() *instruction { return &c.prog.code[at] }
	if greedy {
		in().x = c.here()
		return func(t int32) { in().y = t }
	}
	in().y = c.here()
	return func(t int32) { in().x = t }
}

func (c *compiler) emitOptional(greedy bool, body func()) {
	settle := c.split(greedy)
	body()
	settle(c.here())
}

// emitLoop writes (body)* or (body)+.
func (c *compiler) emitLoop(n, body *node) {
	nullable := c.min(body) == 0
	top := c.here()
	settle := func(int32) {}
	if n.low == 0 {
		settle = c.split(n.greedy)
	}
	closing := c.guarded(nullable, body)
	if n.low == 0 {
		c.op(instruction{op: opJump, x: top})
	} else {
		again := instruction{op: opSplit, x: top, y: c.here() + 1}
		if !n.greedy {
			again.x, again.y = again.y, again.x
		}
		c.op(again)
	}
	settle(c.here())
	if nullable {
		c.prog.code[closing].y = c.here()
	}
}

// guarded writes body with the check that a round matched something, and returns the check's index.
func (c *compiler) guarded(nullable bool, body *node) int {
	if !nullable {
		c.emit(body)
		return -1
	}
	slot := c.slot()
	in := instruction{op: opLoopClose, n: slot}
	if c.prog.hasRefs && c.captureIn(body) {
		in.bits |= instCaptures
	}
	c.op(instruction{op: opLoopOpen, n: slot, bits: in.bits})
	c.emit(body)
	return c.op(in)
}

// captureIn reports whether n has groups that count for the progress of a loop; those in look-around do not.
func (c *compiler) captureIn(n *node) bool {
	found := false
	n.walk(func(n *node) bool {
		found = found || n.kind == nodeGroup && n.group > 0 || n.kind == nodeCall
		return !found && n.kind != nodeLook && (n.kind != nodeRepeat || n.high != 0)
	})
	return found
}

// emitCounted writes a repetition that counts its rounds.
func (c *compiler) emitCounted(n, body *node) {
	slot := c.slot()
	c.op(instruction{op: opCountInit, n: slot})
	check := instruction{op: opCountCheck, n: slot, low: int32(n.low), high: bound(n.high)}
	if n.greedy {
		check.bits = instGreedy
	}
	top := c.op(check)
	c.prog.code[top].x = c.here()
	c.op(instruction{op: opCountUp, n: slot})
	nullable := c.min(body) == 0
	closing := c.guarded(nullable, body)
	c.op(instruction{op: opJump, x: int32(top)})
	c.prog.code[top].y = c.here()
	if nullable {
		c.prog.code[closing].y = c.here()
	}
}

// size is about the number of instructions n compiles to, at most expandLimit+1.
func (c *compiler) size(n *node) int {
	total := 0
	switch n.kind {
	case nodeEmpty:
		return 0
	case nodeRepeat:
		if _, ok := n.subs[0].isChar(); ok {
			return 1
		}
		total = c.size(n.subs[0]) + 2
		if times := max(n.low, n.high, 1); times*total <= expandLimit {
			total *= times
		} else {
			total += 3
		}
	case nodeGroup:
		total = c.size(n.subs[0]) + 2
		if c.called[n.group] {
			total += 3
		}
	case nodeAlternate:
		total = 2 * (len(n.subs) - 1)
		fallthrough
	default:
		if len(n.subs) == 0 {
			return 1
		}
		total += 2
		for _, s := range n.subs {
			if total > expandLimit {
				break
			}
			total += c.size(s)
		}
	}
	return min(total, expandLimit+1)
}
