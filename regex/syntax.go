package regex

import (
	"fmt"
	"unicode/utf8"
)

// SyntaxError says what is wrong with a pattern and where.
type SyntaxError struct {
	Pattern string // the pattern as it was given to Compile
	Offset  int    // of the byte in Pattern at which the problem was noticed
	Msg     string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("regex %q: %s at byte %d", e.Pattern, e.Msg, e.Offset)
}

// Place returns the pattern and the offset in it.
func (e *SyntaxError) Place() (pattern string, offset int) {
	return e.Pattern, e.Offset
}

// A nodeKind is the kind of a syntax tree node.
type nodeKind uint8

const (
	nodeEmpty     nodeKind = iota
	nodeLiteral            // lit
	nodeSet                // set
	nodeConcat             // subs
	nodeAlternate          // subs
	nodeRepeat             // subs[0], low, high, greedy
	nodeGroup              // subs[0], group: its number, 0 for the whole pattern if that is called
	nodeAtomic             // subs[0]
	nodeOption             // subs[0]: what (?i:…) or the rest after (?i) holds; says something only to look-behind
	nodeLook               // subs[0], behind, negative
	nodeAssert             // assert
	nodeBackref            // groups, fold, level
	nodeCall               // name or group
	nodeCondition          // subs[0], subs[1], group
	nodeAbsent             // subs[0]
)

// An assertion is a condition on a position.
type assertion uint8

const (
	beginText     assertion = iota // \A
	endText                        // \z
	endTextOrLine                  // \Z
	beginLine                      // ^
	endLine                        // $
	searchStart                    // \G
	wordBoundary                   // \b
	notWordBoundary
	asciiBoundary // \b after (?a)
	notASCIIBoundary
	keepOut // \K, which is no condition but has its place among them
)

// infinite is the upper bound of a repetition without one.
const infinite = -1

// A node is a part of the syntax tree.
type node struct {
	kind   nodeKind
	offset int // in the pattern, for error messages
	subs   []*node

	lit []byte  // nodeLiteral: whole characters, or one stray byte
	set charset // nodeSet

	low, high int  // nodeRepeat; high may be infinite
	greedy    bool // nodeRepeat

	group int // nodeGroup, nodeCall (-1: see name), nodeCondition

	behind, negative bool // nodeLook
	assert           assertion

	groups   []int // nodeBackref: the numbers to try, in order
	byName   bool  // nodeBackref, nodeCondition, nodeCall
	name     string
	fold     bool // nodeBackref
	hasLevel bool // nodeBackref: \k<n+level>
	level    int
}

func emptyNode(offset int) *node { return &node{kind: nodeEmpty, offset: offset} }

// walk calls visit for n and everything below it, parents first; visit returns false to stay out of the children.
func (n *node) walk(visit func(*node) bool) {
	if !visit(n) {
		return
	}
	for _, s := range n.subs {
		s.walk(visit)
	}
}

// isChar reports whether n matches exactly one character, and which.
// A literal stray byte is none: it matches inside a character too.
func (n *node) isChar() (charset, bool) {
	switch n.kind {
	case nodeSet:
		return n.set, true
	case nodeLiteral:
		if r, size := utf8.DecodeRune(n.lit); size == len(n.lit) && (r != utf8.RuneError || size > 1) {
			return charset{{r, r}}, true
		}
	}
	return nil, false
}

// concat joins nodes, flattening and merging neighbouring literals.
func concat(offset int, nodes []*node) *node {
	var out []*node
	var add func(n *node)
	add = func(n *node) {
		switch n.kind {
		case nodeEmpty:
		case nodeConcat:
			for _, s := range n.subs {
				add(s)
			}
		case nodeLiteral:
			if k := len(out); k > 0 && out[k-1].kind == nodeLiteral {
				joined := append(append([]byte(nil), out[k-1].lit...), n.lit...)
				out[k-1] = &node{kind: nodeLiteral, offset: out[k-1].offset, lit: joined}
				return
			}
			out = append(out, n)
		default:
			out = append(out, n)
		}
	}
	for _, n := range nodes {
		add(n)
	}
	switch len(out) {
	case 0:
		return emptyNode(offset)
	case 1:
		return out[0]
	}
	return &node{kind: nodeConcat, offset: offset, subs: out}
}

// alternate joins branches.
func alternate(offset int, branches []*node) *node {
	if len(branches) == 1 {
		return branches[0]
	}
	return &node{kind: nodeAlternate, offset: offset, subs: branches}
}

// The width of what a node matches, in characters or bytes.
const unbounded = 1<<31 - 1

// addWidth adds without leaving the range up to unbounded.
func addWidth(a, b int) int {
	if a > unbounded-b {
		return unbounded
	}
	return a + b
}

// mulWidth multiplies without leaving the range up to unbounded.
func mulWidth(a, n int) int {
	if a == 0 || n == 0 {
		return 0
	}
	if a > unbounded/n {
		return unbounded
	}
	return a * n
}
