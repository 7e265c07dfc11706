package stream

import (
	"encoding/binary"
	"math"
	"slices"
)

// group is the records that have the same values of what is grouped by.
type group struct {
	key     string
	values  []val
	records int64
	sums    []sum
	data    []byte // what the texts in values alias
}

// groupTable is the groups of one batch, window or slot of a hopping window, in
// the order in which they were seen first.
type groupTable struct {
	index   map[string]*group
	list    []*group
	records int64
	size    int // estimate of the memory, in bytes
	free    []*group
}

// groupOverhead is what a group takes beside its key and sums, in bytes, sumSize
// what a sum does.
const (
	groupOverhead = 240
	sumSize       = 56
)

// The largest table that keeps its memory when it is emptied, in groups.
const keptGroups = 4096

// cost is what a new group would add to the size.
func (t *groupTable) cost(key []byte, aggregates int) int {
	return groupOverhead + 3*len(key) + aggregates*sumSize
}

// add makes the group of a key.
func (t *groupTable) add(key []byte, values []val, aggregates int) *group {
	var g *group
	if n := len(t.free); n > 0 {
		g, t.free = t.free[n-1], t.free[:n-1]
	} else {
		g = &group{sums: make([]sum, aggregates)}
	}
	g.key = string(key)
	g.values = append(g.values[:0], values...)
	g.data = g.data[:0]
	for i := range values {
		g.data = append(g.data, values[i].s...)
	}
	rest := g.data
	for i := range g.values {
		n := len(g.values[i].s)
		g.values[i].s, rest = rest[:n:n], rest[n:]
	}
	if t.index == nil {
		t.index = map[string]*group{}
	}
	t.index[g.key] = g
	t.list = append(t.list, g)
	t.size += t.cost(key, aggregates)
	return g
}

// reset empties the table.
func (t *groupTable) reset() {
	if len(t.list) > keptGroups {
		*t = groupTable{}
		return
	}
	for _, g := range t.list {
		g.records = 0
		clear(g.sums)
	}
	t.free = append(t.free, t.list...)
	t.list = t.list[:0]
	clear(t.index)
	t.records, t.size = 0, 0
}

// merge takes in the groups of another table.
func (t *groupTable) merge(o *groupTable, aggregates []aggregate) {
	t.records += o.records
	for _, g := range o.list {
		mine := t.index[g.key]
		if mine == nil {
			mine = t.add([]byte(g.key), g.values, len(aggregates))
		}
		mine.records += g.records
		for i := range g.sums {
			mine.sums[i].merge(&aggregates[i], &g.sums[i])
		}
	}
}

// groupValue is a value as it is grouped by and reported. Unless they are to be
// exact, values are Fluent Bit's: texts that look like numbers and booleans are
// numbers, null and maps are 0, and a record without the value, or with an
// array, is in no group.
func (o *Options) groupValue(v val) (val, bool) {
	if o.Exact {
		if v.k == missing {
			v.k = null
		}
		return v, true
	}
	switch v.k {
	case missing, other:
		return v, false
	case null, mapping:
		return val{k: integer}, true
	case boolean:
		return val{k: integer, n: v.n}, true
	case text:
		if n, ok := o.numberOf(v); ok {
			return n, true
		}
	}
	return v, true
}

// appendKey appends a value so that equal values, and only they, have the same
// bytes. An integer and a float of the same value are equal.
func appendKey(dst []byte, v val) []byte {
	k := v.k
	if k == floating && v.f == math.Trunc(v.f) && math.Abs(v.f) < 1<<53 {
		k, v.n = integer, int64(v.f)
	}
	dst = append(dst, byte(k))
	switch k {
	case boolean, integer:
		return binary.BigEndian.AppendUint64(dst, uint64(v.n))
	case floating:
		return binary.BigEndian.AppendUint64(dst, math.Float64bits(v.f))
	}
	return append(binary.AppendUvarint(dst, uint64(len(v.s))), v.s...)
}

// sortGroups orders groups by what ORDER BY says.
func (p *plan) sortGroups(list []*group, r *row) {
	keys := make(map[*group][]val, len(list))
	for _, g := range list {
		r.at = g
		keys[g] = p.sortKeys(r)
	}
	slices.SortStableFunc(list, func(a, b *group) int { return p.compareKeys(keys[a], keys[b]) })
}

// sortKeys computes what a row is ordered by, in memory of its own.
func (p *plan) sortKeys(r *row) []val {
	keys := make([]val, len(p.order))
	for i, o := range p.order {
		keys[i] = o.expr(r)
		keys[i].s = slices.Clone(keys[i].s)
	}
	return keys
}

// compareKeys orders rows. Values of different kinds are ordered by kind: what
// is missing, null, booleans, numbers, texts.
func (p *plan) compareKeys(a, b []val) int {
	for i, o := range p.order {
		order, ok := compare(a[i], b[i], true)
		if !ok {
			order = orderInts(int64(a[i].k), int64(b[i].k))
		}
		if order != 0 {
			if o.desc {
				return -order
			}
			return order
		}
	}
	return 0
}
