package stream

import "fmt"

// validate checks what the grammar does not.
func (p *parser) validate(st *statement) {
	tag := false
	for _, prop := range st.props {
		tag = tag || prop.key == "tag"
	}
	if st.kind == CreateSnapshot {
		if !tag {
			p.fail(st.namePos, fmt.Sprintf("write CREATE SNAPSHOT %s WITH (tag='…') AS …", st.name), "a snapshot needs a tag")
		}
		if st.limit <= 0 && snapshotSeconds(st.props) <= 0 {
			p.fail(st.namePos, "write LIMIT n, or WITH (tag='…', seconds='n')", "the snapshot has no size")
		}
		return
	}
	if st.kind == FlushSnapshot {
		return
	}
	p.aliasGroups(st)
	aggregates := 0
	for _, c := range st.columns {
		if !c.star && hasAggregate(c.expr) {
			aggregates++
		}
	}
	if aggregates == 0 {
		p.validatePlain(st)
		return
	}
	grouped := map[string]bool{}
	for _, g := range st.group {
		grouped[p.canon(g.at())] = true
	}
	for _, c := range st.columns {
		if c.star {
			p.fail(c.pos, "write COUNT(*), or name the columns", "* cannot stand beside aggregates")
		}
		p.needsGroups(c.expr, grouped)
	}
	if st.having != nil {
		p.needsGroups(st.having, grouped)
	}
	for _, s := range st.order {
		if !p.isColumn(st, s.expr) {
			p.needsGroups(s.expr, grouped)
		}
	}
	if st.limit >= 0 && !p.opts.Exact {
		p.warn(st.limitAt, "", "LIMIT has no effect in a stream task")
	}
}

// validatePlain checks a selection without aggregates.
func (p *parser) validatePlain(st *statement) {
	if st.having != nil {
		p.fail(st.having.at().pos, "conditions on records stand behind WHERE", "HAVING needs aggregates such as COUNT(*) in the selection")
	}
	if len(st.group) > 0 {
		if p.opts.Exact {
			p.fail(st.groupAt, "select COUNT(*) or another aggregate", "GROUP BY needs aggregates in the selection")
		}
		p.warn(st.groupAt, "select COUNT(*) or another aggregate", "GROUP BY has no effect without aggregates")
		st.group = nil
	}
	if st.window != (Window{}) {
		p.warn(st.windowAt, "select COUNT(*) or another aggregate", "WINDOW has no effect without aggregates")
		st.window = Window{}
	}
	if st.limit >= 0 && !p.opts.Exact {
		p.warn(st.limitAt, "", "LIMIT has no effect in a stream task")
	}
}

// isColumn tells whether the expression names a column of the result.
func (p *parser) isColumn(st *statement, n node) bool {
	key, ok := n.(*keyNode)
	if !ok {
		return false
	}
	for _, c := range st.columns {
		if c.name == keyName(key) {
			return true
		}
	}
	return false
}

// aliasGroups lets GROUP BY name a column by its alias.
func (p *parser) aliasGroups(st *statement) {
	for i, g := range st.group {
		key, ok := g.(*keyNode)
		if !ok || len(key.path) > 0 {
			continue
		}
		for _, c := range st.columns {
			if c.alias == key.name && c.expr != nil && !hasAggregate(c.expr) {
				st.group[i] = c.expr
			}
		}
	}
}

// needsGroups fails if n uses a key of the record that is neither within an
// aggregate nor grouped by.
func (p *parser) needsGroups(n node, grouped map[string]bool) {
	if grouped[p.canon(n.at())] {
		return
	}
	if _, ok := n.(*aggregateNode); ok {
		return
	}
	if key, ok := n.(*keyNode); ok {
		p.fail(key.pos, fmt.Sprintf("write GROUP BY %s, or an aggregate such as MAX(%s)", keyName(key), keyName(key)),
			"beside aggregates a key must be one that the records are grouped by")
	}
	for _, c := range children(n) {
		p.needsGroups(c, grouped)
	}
}

// canon returns a piece of the statement in a form that is the same for the
// same expression.
func (p *parser) canon(s span) string {
	out := ""
	for _, t := range p.tokens {
		if t.pos >= s.pos && t.end <= s.end && t.kind != kindEnd {
			kind := t.kind
			if kind == kindQuotedName {
				kind = kindName
			}
			out += fmt.Sprintf("%d%q ", kind, t.text)
		}
	}
	return out
}

// children returns the expressions within one.
func children(n node) []node {
	var out []node
	add := func(ns ...node) {
		for _, n := range ns {
			if n != nil {
				out = append(out, n)
			}
		}
	}
	switch n := n.(type) {
	case *parenNode:
		add(n.x)
	case *unaryNode:
		add(n.x)
	case *binaryNode:
		add(n.l, n.r)
	case *isNullNode:
		add(n.x)
	case *matchNode:
		add(n.x)
	case *inNode:
		add(n.x)
		add(n.list...)
	case *betweenNode:
		add(n.x, n.low, n.high)
	case *callNode:
		add(n.args...)
	case *caseNode:
		add(n.x)
		add(n.when...)
		add(n.then...)
		add(n.fallback)
	case *aggregateNode:
		add(n.arg)
	}
	return out
}

func hasAggregate(n node) bool {
	if _, ok := n.(*aggregateNode); ok {
		return true
	}
	for _, c := range children(n) {
		if hasAggregate(c) {
			return true
		}
	}
	return false
}
