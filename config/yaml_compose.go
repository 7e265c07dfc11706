package config

import (
	"slices"

	"github.com/kagarilog/kagari/option"
)

// node is a value as it was written, in either format.
type node struct {
	shape option.Shape
	text  string
	plain bool // a YAML scalar without quotes, which may stand for a number
	alias bool // *text; refused wherever it stands
	items []node
	pairs []pair // in the order written; keys may repeat
	pos   option.Pos
}

// pair is a key with its value. notes are the comment lines above it.
type pair struct {
	key   node
	val   node
	notes []string
}

// yamlComposer makes nodes of tokens.
type yamlComposer struct {
	s    *yamlScanner
	file string
	tags []string // handles that the document defines
}

// parseYAML reads all documents of a file. An error is a *yamlError, and the
// documents before it are returned with it.
func parseYAML(file string, text []byte) ([]node, error) {
	s, err := newYAMLScanner(text)
	if err != nil {
		return nil, err
	}
	c := &yamlComposer{s: s, file: file}
	var docs []node
	for first := true; ; first = false {
		doc, more, err := c.document(first)
		if err != nil || !more {
			return docs, err
		}
		docs = append(docs, doc)
	}
}

func (c *yamlComposer) is(kinds ...tokenKind) (bool, error) {
	t, err := c.s.peek()
	return err == nil && slices.Contains(kinds, t.kind), err
}

// document reads the next document; more is false at the end of the stream.
func (c *yamlComposer) document(first bool) (doc node, more bool, err error) {
	t, err := c.s.peek()
	if err != nil {
		return doc, false, err
	}
	for !first && t.kind == tokDocumentEnd {
		c.s.take()
		if t, err = c.s.peek(); err != nil {
			return doc, false, err
		}
	}
	c.tags = []string{"", "!!"}
	switch {
	case t.kind == tokStreamEnd:
		return doc, false, nil
	case first && t.kind != tokVersionDirective && t.kind != tokTagDirective && t.kind != tokDocumentStart:
		doc, err = c.node(true, false, 0)
	default:
		if err := c.directives(); err != nil {
			return doc, false, err
		}
		if t, err = c.s.peek(); err != nil {
			return doc, false, err
		}
		if t.kind != tokDocumentStart {
			return doc, false, &yamlError{msg: `this does not belong to the structure above; the indentation may be wrong, or "---" is missing`, mark: t.mark}
		}
		c.s.take()
		empty, e := c.is(tokVersionDirective, tokTagDirective, tokDocumentStart, tokDocumentEnd, tokStreamEnd)
		if e != nil {
			return doc, false, e
		}
		if empty {
			doc = c.empty(t.mark)
		} else {
			doc, err = c.node(true, false, 0)
		}
	}
	if err != nil {
		return doc, false, err
	}
	end, err := c.is(tokDocumentEnd)
	if end {
		c.s.take()
	}
	return doc, err == nil, err
}

func (c *yamlComposer) directives() error {
	version := false
	for {
		t, err := c.s.peek()
		if err != nil {
			return err
		}
		switch t.kind {
		case tokVersionDirective:
			if version {
				return &yamlError{msg: "the directive %YAML stands twice", mark: t.mark}
			}
			version = true
		case tokTagDirective:
			if t.text != "!!" && slices.Contains(c.tags, t.text) {
				return &yamlError{msg: "the directive %TAG stands twice for one handle", mark: t.mark}
			}
			c.tags = append(c.tags, t.text)
		default:
			return nil
		}
		c.s.take()
	}
}

func (c *yamlComposer) empty(at mark) node {
	return node{plain: true, pos: at.pos(c.file)}
}

// node reads one value. block allows block collections, indentless a list whose
// entries stand in the column of their key.
func (c *yamlComposer) node(block, indentless bool, depth int) (node, error) {
	t, err := c.s.peek()
	if err != nil {
		return node{}, err
	}
	if depth > 2*maxYAMLDepth {
		return node{}, &yamlError{msg: "the nesting is too deep", mark: t.mark}
	}
	start := t.mark
	if t.kind == tokAlias {
		c.s.take()
		return node{alias: true, text: t.text, pos: start.pos(c.file)}, nil
	}
	var anchor, tag bool
	for t.kind == tokAnchor && !anchor || t.kind == tokTag && !tag {
		if t.kind == tokTag {
			tag = true
			if !slices.Contains(c.tags, t.text) {
				return node{}, &yamlError{msg: "the tag handle " + t.text + " is not defined", mark: t.mark}
			}
		} else {
			anchor = true
		}
		c.s.take()
		if t, err = c.s.peek(); err != nil {
			return node{}, err
		}
	}
	pos := start.pos(c.file)
	switch {
	case indentless && t.kind == tokBlockEntry:
		return c.blockSequence(pos, true, depth)
	case t.kind == tokScalar:
		c.s.take()
		return node{text: t.text, plain: t.plain, pos: t.mark.pos(c.file)}, nil
	case t.kind == tokFlowSequenceStart:
		c.s.take()
		return c.flowSequence(t.mark, depth)
	case t.kind == tokFlowMappingStart:
		c.s.take()
		return c.flowMapping(t.mark, depth)
	case block && t.kind == tokBlockSequenceStart:
		c.s.take()
		return c.blockSequence(pos, false, depth)
	case block && t.kind == tokBlockMappingStart:
		c.s.take()
		return c.blockMapping(pos, depth)
	case anchor || tag:
		return c.empty(start), nil
	}
	return node{}, &yamlError{msg: "a value is missing or stands in the wrong place", mark: t.mark}
}

// nodeUnless reads a value unless one of the kinds follows, which means that
// the value is empty.
func (c *yamlComposer) nodeUnless(block, indentless bool, depth int, at mark, kinds ...tokenKind) (node, error) {
	none, err := c.is(kinds...)
	if err != nil {
		return node{}, err
	}
	if none {
		return c.empty(at), nil
	}
	return c.node(block, indentless, depth+1)
}

func (c *yamlComposer) blockSequence(pos option.Pos, indentless bool, depth int) (node, error) {
	n := node{shape: option.List, pos: pos}
	ends := []tokenKind{tokBlockEntry, tokBlockEnd}
	if indentless {
		ends = []tokenKind{tokBlockEntry, tokKey, tokValue, tokBlockEnd}
	}
	for {
		t, err := c.s.peek()
		if err != nil {
			return n, err
		}
		switch {
		case t.kind == tokBlockEntry:
			c.s.take()
			item, err := c.nodeUnless(true, false, depth, afterToken(t), ends...)
			if err != nil {
				return n, err
			}
			n.items = append(n.items, item)
			continue
		case indentless:
			return n, nil
		case t.kind == tokBlockEnd:
			c.s.take()
			return n, nil
		}
		return n, &yamlError{msg: `a list entry must start with "-" in the same column as the entries above`, mark: t.mark}
	}
}

func afterToken(t token) mark {
	m := t.mark
	m.index++
	m.col++
	return m
}

func (c *yamlComposer) blockMapping(pos option.Pos, depth int) (node, error) {
	n := node{shape: option.Map, pos: pos}
	ends := []tokenKind{tokKey, tokValue, tokBlockEnd}
	for {
		t, err := c.s.peek()
		if err != nil {
			return n, err
		}
		switch t.kind {
		case tokKey:
			c.s.take()
			key, err := c.nodeUnless(true, true, depth, t.mark, ends...)
			if err != nil {
				return n, err
			}
			p := pair{key: key}
			if t, err = c.s.peek(); err != nil {
				return n, err
			}
			if t.kind == tokValue {
				c.s.take()
				p.val, err = c.nodeUnless(true, true, depth, afterToken(t), ends...)
				if err != nil {
					return n, err
				}
			} else {
				p.val = c.empty(t.mark)
			}
			n.pairs = append(n.pairs, p)
			continue
		case tokBlockEnd:
			c.s.take()
			return n, nil
		}
		return n, &yamlError{msg: "a key is expected here; the indentation may be wrong", mark: t.mark}
	}
}

func (c *yamlComposer) flowSequence(start mark, depth int) (node, error) {
	n := node{shape: option.List, pos: start.pos(c.file)}
	for first := true; ; first = false {
		t, err := c.s.peek()
		if err != nil {
			return n, err
		}
		if !first && t.kind != tokFlowSequenceEnd {
			if t.kind != tokFlowEntry {
				return n, c.unclosed(start, t, "[", "]")
			}
			c.s.take()
			if t, err = c.s.peek(); err != nil {
				return n, err
			}
		}
		switch t.kind {
		case tokFlowSequenceEnd:
			c.s.take()
			return n, nil
		case tokKey:
			c.s.take()
			item, err := c.flowPair(t.mark, depth)
			if err != nil {
				return n, err
			}
			n.items = append(n.items, item)
		default:
			item, err := c.node(false, false, depth+1)
			if err != nil {
				return n, err
			}
			n.items = append(n.items, item)
		}
	}
}

// unclosed reports what does not belong between brackets: at their start if
// that is on another line, where the mistake more likely is.
func (c *yamlComposer) unclosed(start mark, t token, open, end string) error {
	if t.mark.line != start.line {
		return &yamlError{msg: `the "` + open + `" has no closing "` + end + `"`, mark: start}
	}
	return &yamlError{msg: `a "," or the closing "` + end + `" is missing`, mark: t.mark}
}

// flowPair reads "a: b" inside [ ], which is a map of one entry.
func (c *yamlComposer) flowPair(at mark, depth int) (node, error) {
	n := node{shape: option.Map, pos: at.pos(c.file)}
	none, err := c.is(tokValue, tokFlowEntry, tokFlowSequenceEnd)
	if err != nil {
		return n, err
	}
	p := pair{key: c.empty(at)}
	if none {
		c.s.take()
	} else if p.key, err = c.node(false, false, depth+1); err != nil {
		return n, err
	}
	t, err := c.s.peek()
	if err != nil {
		return n, err
	}
	p.val = c.empty(t.mark)
	if t.kind == tokValue {
		c.s.take()
		p.val, err = c.nodeUnless(false, false, depth, afterToken(t), tokFlowEntry, tokFlowSequenceEnd)
		if err != nil {
			return n, err
		}
	}
	n.pairs = append(n.pairs, p)
	return n, nil
}

func (c *yamlComposer) flowMapping(start mark, depth int) (node, error) {
	n := node{shape: option.Map, pos: start.pos(c.file)}
	for first := true; ; first = false {
		t, err := c.s.peek()
		if err != nil {
			return n, err
		}
		if !first && t.kind != tokFlowMappingEnd {
			if t.kind != tokFlowEntry {
				return n, c.unclosed(start, t, "{", "}")
			}
			c.s.take()
			if t, err = c.s.peek(); err != nil {
				return n, err
			}
		}
		var p pair
		switch t.kind {
		case tokFlowMappingEnd:
			c.s.take()
			return n, nil
		case tokKey:
			c.s.take()
			if p.key, err = c.nodeUnless(false, false, depth, t.mark, tokValue, tokFlowEntry, tokFlowMappingEnd); err != nil {
				return n, err
			}
			if t, err = c.s.peek(); err != nil {
				return n, err
			}
			p.val = c.empty(t.mark)
			if t.kind == tokValue {
				c.s.take()
				if p.val, err = c.nodeUnless(false, false, depth, afterToken(t), tokFlowEntry, tokFlowMappingEnd); err != nil {
					return n, err
				}
			}
		default:
			if p.key, err = c.node(false, false, depth+1); err != nil {
				return n, err
			}
			p.val = c.empty(t.mark)
		}
		n.pairs = append(n.pairs, p)
	}
}
