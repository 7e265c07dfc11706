package regex

// A searchPlan says where in a text it is worth trying to match.
type searchPlan struct {
	where searchPlace
	// entry is where the program starts if the position is known to be what where says.
	entry int
	// prefix is what every match starts with.
	prefix []byte
	// first is what a match can start with, or nil.
	first *follow
	// heads says what the first bytes of a match can be, if more than one is known.
	heads []*[256]bool
	// need is a text that every match contains, if looking for it first pays.
	need []byte
	// run is the set that a match starts with a run of. Where that fails,
	// it fails in the rest of the run too.
	run *byteSet
	// minLen is the least number of bytes of a match.
	minLen int
}

type searchPlace uint8

const (
	searchAnywhere searchPlace = iota
	searchTextStart
	searchLineStart
	searchHere
)

// planSearch derives the plan from the program and the tree it was compiled from.
func planSearch(p *program, c *checker, root *node) searchPlan {
	plan := searchPlan{minLen: c.min(root)}
	pc, atomic := 0, false
	for ; p.code[pc].op == opOpen || p.code[pc].op == opAtomic; pc++ {
		atomic = atomic || p.code[pc].op == opAtomic
	}
	in := &p.code[pc]
	switch in.op {
	case opBeginText:
		plan.where = searchTextStart
		return plan
	case opBeginLine:
		plan.where = searchLineStart
		if pc == 0 {
			plan.entry = 1
		}
		return plan
	case opSearchStart:
		plan.where = searchHere
		return plan
	case opByte:
		plan.prefix = []byte{in.b}
	case opLiteral:
		plan.prefix = []byte(in.lit)
	case opRun, opRunLazy, opCaptureRun, opUntil, opSpan:
		if in.high == unbounded && !p.hasRefs && !(atomic && in.op == opRunLazy) && !p.jumpsTo(pc+1) {
			plan.run = in.set
		}
	}
	first := newFollower(p).follow(0)
	plan.first = first.filter()
	if plan.prefix == nil {
		plan.need = requiredLiteral(root)
		if heads, _ := headSets(root, maxHeads); len(heads) > 1 {
			plan.heads = heads
		}
	}
	return plan
}

// maxHeads is the number of bytes looked at before a match is tried.
const maxHeads = 3

// headSets returns what the first bytes of what n matches can be, at most limit of them.
// whole says that these are all the bytes there are.
func headSets(n *node, limit int) (heads []*[256]bool, whole bool) {
	switch n.kind {
	case nodeEmpty, nodeAssert, nodeLook:
		return nil, true
	case nodeLiteral:
		for _, b := range n.lit[:min(len(n.lit), limit)] {
			head := new([256]bool)
			head[b] = true
			heads = append(heads, head)
		}
		return heads, len(n.lit) <= limit
	case nodeSet:
		set := newByteSet(n.set)
		return []*[256]bool{&set.first}, set.ascii
	case nodeConcat:
		for _, s := range n.subs {
			if len(heads) == limit {
				return heads, false
			}
			more, whole := headSets(s, limit-len(heads))
			if heads = append(heads, more...); !whole {
				return heads, false
			}
		}
		return heads, true
	case nodeGroup, nodeOption, nodeAtomic:
		return headSets(n.subs[0], limit)
	case nodeRepeat:
		if n.low == 0 {
			return nil, false
		}
		once, whole := headSets(n.subs[0], limit)
		heads = once
		for i := 1; whole && i < n.low && len(heads) < limit; i++ {
			heads = append(heads[:len(heads):len(heads)], once[:min(len(once), limit-len(heads))]...)
		}
		return heads, whole && n.high == n.low && len(heads) == len(once)*n.low
	case nodeAlternate:
		return headsOfBranches(n.subs, limit)
	}
	return nil, false
}

func headsOfBranches(branches []*node, limit int) (heads []*[256]bool, whole bool) {
	heads, whole = headSets(branches[0], limit)
	for _, b := range branches[1:] {
		more, all := headSets(b, limit)
		whole = whole && all && len(more) == len(heads)
		heads = heads[:min(len(heads), len(more))]
		for i, h := range heads {
			both := *h
			for b, in := range more[i] {
				both[b] = both[b] || in
			}
			heads[i] = &both
		}
	}
	return heads, whole
}

// jumpsTo reports whether some instruction jumps to one before limit.
func (p *program) jumpsTo(limit int) bool {
	found := false
	for i := range p.code {
		p.code[i].targets(func(t *int32) { found = found || int(*t) < limit })
	}
	return found
}

// requiredLiteral returns the longest text that every match of n contains.
func requiredLiteral(n *node) []byte {
	var best []byte
	switch n.kind {
	case nodeLiteral:
		return n.lit
	case nodeConcat:
		for _, s := range n.subs {
			if lit := requiredLiteral(s); len(lit) > len(best) {
				best = lit
			}
		}
	case nodeGroup, nodeOption, nodeAtomic:
		return requiredLiteral(n.subs[0])
	case nodeRepeat:
		if n.low > 0 {
			return requiredLiteral(n.subs[0])
		}
	}
	return best
}

// trimUnneeded takes from root what makes no difference to whether there is a match at all:
// what is optional at either end, and line anchors beyond that.
// Thus `^.*error.*$` becomes `error`. It must not be used if groups matter or are called.
func trimUnneeded(root *node) *node {
	plain := true
	root.walk(func(n *node) bool {
		plain = plain && n.kind != nodeCall && n.kind != nodeBackref && n.kind != nodeCondition &&
			(n.kind != nodeAssert || n.assert != searchStart)
		return plain
	})
	if !plain {
		return root
	}
	items := flatten(root)
	for trimmed := true; trimmed && len(items) > 0; {
		trimmed = false
		if last := len(items) - 1; optional(items[last]) {
			items, trimmed = items[:last], true
		} else if last > 0 && isAssert(items[last], endLine) && restOfLine(items[last-1]) {
			items, trimmed = items[:last-1], true
		}
	}
	for len(items) > 0 {
		if optional(items[0]) {
			items = items[1:]
		} else if len(items) > 2 && isAssert(items[0], beginLine) && restOfLine(items[1]) && items[2].kind == nodeLiteral {
			items = items[2:]
		} else {
			break
		}
	}
	return concat(root.offset, items)
}

// flatten lists what n consists of, in order, looking into groups.
func flatten(n *node) []*node {
	switch n.kind {
	case nodeEmpty:
		return nil
	case nodeConcat:
		var out []*node
		for _, s := range n.subs {
			out = append(out, flatten(s)...)
		}
		return out
	case nodeGroup, nodeOption:
		return flatten(n.subs[0])
	}
	return []*node{n}
}

func optional(n *node) bool { return n.kind == nodeRepeat && n.low == 0 }

func isAssert(n *node, a assertion) bool { return n.kind == nodeAssert && n.assert == a }

// restOfLine reports whether n can match whatever is left of a line.
func restOfLine(n *node) bool {
	if n.kind != nodeRepeat || n.low != 0 || n.high != infinite {
		return false
	}
	set, ok := n.subs[0].isChar()
	return ok && len(set.union(charset{{'\n', '\n'}}).negate()) == 0
}
