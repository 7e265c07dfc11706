package regex

import "errors"

// lookBehinds checks every look-behind below n and notes how many characters it goes back, in low.
// One whose branches differ in length becomes one look-behind for each.
func (c *checker) lookBehinds(n *node) (*node, error) {
	if n.kind == nodeLook && n.behind {
		if !allowedBehind(n.subs[0], n.negative) {
			return nil, c.errorf(n, "invalid pattern in look-behind")
		}
		if alt := n.subs[0]; alt.kind == nodeAlternate && c.branchesDiffer(alt) {
			var parts []*node
			for _, s := range alt.subs {
				parts = append(parts, &node{kind: nodeLook, offset: n.offset, behind: true, negative: n.negative, subs: []*node{s}})
			}
			split := alternate(n.offset, parts)
			if n.negative {
				split = concat(n.offset, parts)
			}
			for i, s := range split.subs {
				var err error
				if split.subs[i], err = c.lookBehinds(s); err != nil {
					return nil, err
				}
			}
			return split, nil
		}
	}
	for i, s := range n.subs {
		var err error
		if n.subs[i], err = c.lookBehinds(s); err != nil {
			return nil, err
		}
	}
	if n.kind == nodeLook && n.behind {
		width, err := c.charWidth(n.subs[0])
		if err != nil {
			return nil, c.errorf(n, "invalid pattern in look-behind")
		}
		n.low = width
	}
	return n, nil
}

// allowedBehind reports whether n consists of what Onigmo admits in a look-behind;
// a negative one must not capture.
func allowedBehind(n *node, negative bool) bool {
	ok := true
	n.walk(func(n *node) bool {
		switch n.kind {
		case nodeAtomic, nodeBackref, nodeCondition, nodeAbsent:
			ok = false
		case nodeGroup:
			ok = ok && !negative
		case nodeLook:
			ok = ok && n.behind
		case nodeAssert:
			ok = ok && n.assert != endText && n.assert != endTextOrLine
		}
		return ok
	})
	return ok
}

func (c *checker) branchesDiffer(alt *node) bool {
	first := -1
	for _, s := range alt.subs {
		w, err := c.charWidth(s)
		if err != nil {
			return false // refused later
		}
		if first >= 0 && w != first {
			return true
		}
		first = w
	}
	return false
}

var errVariableWidth = errors.New("variable width")

// charWidth is the number of characters n matches if that is always the same.
func (c *checker) charWidth(n *node) (int, error) {
	if c.budget--; c.budget < 0 {
		return 0, errVariableWidth
	}
	switch n.kind {
	case nodeEmpty, nodeAssert, nodeLook:
		return 0, nil
	case nodeSet:
		return 1, nil
	case nodeLiteral:
		w := 0
		for pos := 0; pos < len(n.lit); w++ {
			_, size := decodeChar(n.lit, pos)
			pos += size
		}
		return w, nil
	case nodeConcat:
		w := 0
		for _, s := range n.subs {
			sw, err := c.charWidth(s)
			if err != nil {
				return 0, err
			}
			w = addWidth(w, sw)
		}
		return w, nil
	case nodeAlternate, nodeCondition:
		w, err := c.charWidth(n.subs[0])
		for _, s := range n.subs[1:] {
			sw, e := c.charWidth(s)
			if e != nil || err != nil || sw != w {
				return 0, errVariableWidth
			}
		}
		return w, err
	case nodeRepeat:
		w, err := c.charWidth(n.subs[0])
		if err != nil || n.low != n.high {
			return 0, errVariableWidth
		}
		return mulWidth(w, n.low), nil
	case nodeCall:
		if c.reaches(n.group) {
			return 0, errVariableWidth
		}
		return c.charWidth(c.groups[n.group].subs[0])
	case nodeGroup, nodeOption, nodeAtomic:
		return c.charWidth(n.subs[0])
	}
	return 0, errVariableWidth
}
