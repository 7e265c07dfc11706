package regex

import "fmt"

// A checker turns what was parsed into what can be compiled: it drops groups that do not capture,
// resolves references, refuses what Onigmo refuses, and gives each look-behind its length.
type checker struct {
	names  []string // names[i] belongs to group i
	byName map[string][]int
	groups []*node // groups[i] is group i; groups[0] is the whole pattern
	called []bool  // called[i]: some \g calls group i

	recursive bool // a group calls itself, directly or not
	minWidth  []int
	budget    int
}

// What is not known yet, or is being worked out.
const (
	widthUnknown = -1
	widthPending = -2
)

func check(p *parser, root *node) (*checker, *node, error) {
	c := &checker{names: p.names, byName: p.byName, budget: 1 << 20}
	if p.numNamed > 0 {
		var err error
		if root, err = c.dropUnnamed(root); err != nil {
			return nil, nil, err
		}
	}
	n := len(c.names)
	c.groups, c.called, c.minWidth = make([]*node, n), make([]bool, n), make([]int, n)
	for i := range c.minWidth {
		c.minWidth[i] = widthUnknown
	}
	root.walk(func(n *node) bool {
		if n.kind == nodeGroup {
			c.groups[n.group] = n
		}
		return true
	})
	if err := c.references(root, p.numNamed > 0); err != nil {
		return nil, nil, err
	}
	if err := c.recursion(); err != nil {
		return nil, nil, err
	}
	root, err := c.lookBehinds(root)
	if err != nil {
		return nil, nil, err
	}
	// The groups have moved.
	root.walk(func(n *node) bool {
		if n.kind == nodeGroup {
			c.groups[n.group] = n
		}
		return true
	})
	return c, root, nil
}

func (c *checker) errorf(n *node, format string, args ...any) error {
	return &SyntaxError{Offset: n.offset, Msg: fmt.Sprintf(format, args...)}
}

const numberedMsg = "numbered backref/call is not allowed. (use name)"

// dropUnnamed removes plain groups, which do not capture next to named ones, and renumbers the rest.
func (c *checker) dropUnnamed(root *node) (*node, error) {
	number := make([]int, len(c.names))
	names := []string{""}
	for i, name := range c.names {
		if name != "" {
			number[i] = len(names)
			names = append(names, name)
		}
	}
	c.names = names
	for name, groups := range c.byName {
		renumbered := make([]int, len(groups))
		for i, g := range groups {
			renumbered[i] = number[g]
		}
		c.byName[name] = renumbered
	}
	var misuse *node
	root.walk(func(n *node) bool {
		if misuse == nil && (n.kind == nodeBackref || n.kind == nodeCondition) && !n.byName {
			misuse = n
		}
		return misuse == nil
	})
	if misuse != nil {
		return nil, c.errorf(misuse, numberedMsg)
	}
	var rewrite func(n *node) *node
	rewrite = func(n *node) *node {
		switch n.kind {
		case nodeGroup:
			if n.group != 0 && number[n.group] == 0 {
				return rewrite(n.subs[0])
			}
			n.group = number[n.group]
		case nodeBackref:
			for i, g := range n.groups {
				n.groups[i] = number[g]
			}
		case nodeCondition:
			n.group = number[n.group]
		}
		for i, s := range n.subs {
			n.subs[i] = rewrite(s)
		}
		return n
	}
	return rewrite(root), nil
}

// references resolves calls and checks that every reference has a target.
func (c *checker) references(root *node, named bool) (err error) {
	root.walk(func(n *node) bool {
		if err != nil {
			return false
		}
		switch n.kind {
		case nodeBackref:
			for _, g := range n.groups {
				if g >= len(c.names) {
					err = c.errorf(n, "invalid backref number/name")
				}
			}
		case nodeCondition:
			if n.group >= len(c.names) {
				err = c.errorf(n, "invalid backref number/name")
			}
		case nodeCall:
			err = c.resolveCall(n, named)
		case nodeAbsent:
			err = c.errorf(n, "absence operator (?~...) is not supported")
		}
		return err == nil
	})
	return err
}

func (c *checker) resolveCall(n *node, named bool) error {
	if n.byName {
		groups := c.byName[n.name]
		switch len(groups) {
		case 0:
			return c.errorf(n, "undefined name <%s> reference", n.name)
		case 1:
			n.group = groups[0]
		default:
			return c.errorf(n, "multiplex definition name <%s> call", n.name)
		}
	} else if n.group != 0 && named {
		return c.errorf(n, numberedMsg)
	}
	if n.group >= len(c.groups) || c.groups[n.group] == nil {
		return c.errorf(n, "undefined group <%d> reference", n.group)
	}
	c.called[n.group] = true
	return nil
}

// recursion finds out whether groups call themselves and refuses those that can never come to an end.
func (c *checker) recursion() error {
	for g, called := range c.called {
		if !called || !c.reaches(g) {
			continue
		}
		c.recursive = true
		end, err := c.endless(c.groups[g].subs[0], g, true, make([]bool, len(c.groups)))
		if err != nil {
			return err
		}
		if end != recursionNone {
			return c.errorf(c.groups[g], "never ending recursion")
		}
	}
	return nil
}

// reaches reports whether group g leads to a call of itself.
func (c *checker) reaches(g int) bool {
	seen := make([]bool, len(c.groups))
	found := false
	var visit func(n *node) bool
	visit = func(n *node) bool {
		if n.kind == nodeCall && !found {
			if n.group == g {
				found = true
			} else if !seen[n.group] {
				seen[n.group] = true
				c.groups[n.group].subs[0].walk(visit)
			}
		}
		return !found
	}
	c.groups[g].subs[0].walk(visit)
	return found
}

// How a part of a group calls the group again.
type recursionKind uint8

const (
	recursionNone    recursionKind = iota // not on every way
	recursionAlways                       // on every way, after something is matched
	recursionAtStart                      // before anything is matched
)

// endless says how n calls group g again; atStart says that nothing needs to be matched before n.
func (c *checker) endless(n *node, g int, atStart bool, active []bool) (recursionKind, error) {
	if c.budget--; c.budget < 0 {
		return 0, c.errorf(n, "too many nested calls")
	}
	switch n.kind {
	case nodeConcat:
		r := recursionNone
		for _, s := range n.subs {
			k, err := c.endless(s, g, atStart, active)
			if err != nil || k == recursionAtStart {
				return k, err
			}
			r = max(r, k)
			atStart = atStart && c.min(s) == 0
		}
		return r, nil
	case nodeAlternate:
		r := recursionAlways
		for _, s := range n.subs {
			k, err := c.endless(s, g, atStart, active)
			if err != nil || k == recursionAtStart {
				return k, err
			}
			r = min(r, k)
		}
		return r, nil
	case nodeCall, nodeGroup:
		switch {
		case n.group == g && atStart:
			return recursionAtStart, nil
		case n.group == g:
			return recursionAlways, nil
		case active[n.group]:
			return recursionNone, nil
		}
		active[n.group] = true
		r, err := c.endless(c.groups[n.group].subs[0], g, atStart, active)
		active[n.group] = false
		return r, err
	case nodeRepeat:
		r, err := c.endless(n.subs[0], g, atStart, active)
		if r == recursionAlways && n.low == 0 {
			r = recursionNone
		}
		return r, err
	case nodeCondition:
		r := recursionAlways
		for _, s := range n.subs {
			k, err := c.endless(s, g, atStart, active)
			if err != nil || k == recursionAtStart {
				return k, err
			}
			r = min(r, k)
		}
		return r, nil
	case nodeLook, nodeOption, nodeAtomic, nodeAbsent:
		return c.endless(n.subs[0], g, atStart, active)
	}
	return recursionNone, nil
}

// min is the least number of bytes n matches.
func (c *checker) min(n *node) int {
	switch n.kind {
	case nodeLiteral:
		return len(n.lit)
	case nodeSet:
		return 1
	case nodeConcat:
		w := 0
		for _, s := range n.subs {
			w = addWidth(w, c.min(s))
		}
		return w
	case nodeAlternate, nodeCondition:
		w := unbounded
		for _, s := range n.subs {
			w = min(w, c.min(s))
		}
		return w
	case nodeRepeat:
		return mulWidth(c.min(n.subs[0]), n.low)
	case nodeGroup, nodeCall:
		switch c.minWidth[n.group] {
		case widthPending: // recursion
			return 0
		case widthUnknown:
			c.minWidth[n.group] = widthPending
			c.minWidth[n.group] = c.min(c.groups[n.group].subs[0])
		}
		return c.minWidth[n.group]
	case nodeAtomic, nodeOption:
		return c.min(n.subs[0])
	}
	return 0
}
