package pipetest

import (
	"fmt"
	"slices"
)

// pair is an expected record and the one that arrived for it; want or got is -1
// if there is none.
type pair struct {
	want, got int
	same      bool
}

// maxAligned bounds the work of an alignment, in pairs of records.
const maxAligned = 1 << 16

// align finds which of the records that arrived stands for which expected one:
// equal ones first, then those most alike. In order means that the pairs must
// not cross.
func align(wants, gots int, inOrder bool, same func(i, j int) bool, alike func(i, j int) float64) []pair {
	if !inOrder {
		return alignAny(wants, gots, same, alike)
	}
	var head, tail []pair
	i, j := 0, 0
	for i < wants && j < gots && same(i, j) {
		head = append(head, pair{i, j, true})
		i, j = i+1, j+1
	}
	for wants > i && gots > j && same(wants-1, gots-1) {
		wants, gots = wants-1, gots-1
		tail = append(tail, pair{wants, gots, true})
	}
	slices.Reverse(tail)
	return slices.Concat(head, alignRest(i, wants, j, gots, same, alike), tail)
}

// alignRest aligns wants[i0:i1] with gots[j0:j1] at the least cost: 1 for a record
// on one side only, and up to 2 for a pair, the less the more it has in common.
func alignRest(i0, i1, j0, j1 int, same func(i, j int) bool, alike func(i, j int) float64) []pair {
	n, m := i1-i0, j1-j0
	var out []pair
	if n*m > maxAligned || n == 0 || m == 0 {
		for k := range max(n, m) {
			p := pair{want: i0 + k, got: j0 + k}
			if k >= n {
				p.want = -1
			}
			if k >= m {
				p.got = -1
			}
			p.same = p.want >= 0 && p.got >= 0 && same(p.want, p.got)
			out = append(out, p)
		}
		return out
	}
	pairCost := make([]float64, n*m)
	for i := range n {
		for j := range m {
			if !same(i0+i, j0+j) {
				// A little more than two of one side, if nothing is in common.
				pairCost[i*m+j] = 0.1 + 2*(1-alike(i0+i, j0+j))
			}
		}
	}
	cost := make([]float64, (n+1)*(m+1)) // of what is left from i and j on
	at := func(i, j int) int { return i*(m+1) + j }
	for i := n; i >= 0; i-- {
		for j := m; j >= 0; j-- {
			switch {
			case i == n:
				cost[at(i, j)] = float64(m - j)
			case j == m:
				cost[at(i, j)] = float64(n - i)
			default:
				cost[at(i, j)] = min(1+cost[at(i+1, j)], 1+cost[at(i, j+1)], pairCost[i*m+j]+cost[at(i+1, j+1)])
			}
		}
	}
	i, j := 0, 0
	for i < n || j < m {
		switch {
		case i < n && j < m && cost[at(i, j)] == pairCost[i*m+j]+cost[at(i+1, j+1)]:
			out = append(out, pair{i0 + i, j0 + j, pairCost[i*m+j] == 0})
			i, j = i+1, j+1
		case i < n && cost[at(i, j)] == 1+cost[at(i+1, j)]:
			out = append(out, pair{i0 + i, -1, false})
			i++
		default:
			out = append(out, pair{-1, j0 + j, false})
			j++
		}
	}
	return out
}

// alignAny pairs equal records wherever they stand, and of the others those
// that have something in common.
func alignAny(wants, gots int, same func(i, j int) bool, alike func(i, j int) float64) []pair {
	partner := assignment(wants, gots, same)
	taken := make([]bool, gots)
	for _, j := range partner {
		if j >= 0 {
			taken[j] = true
		}
	}
	var out []pair
	for i, j := range partner {
		if j >= 0 {
			out = append(out, pair{i, j, true})
			continue
		}
		best := 0.0
		for k := range gots {
			if s := 0.0; !taken[k] {
				if s = alike(i, k); s > best {
					best, j = s, k
				}
			}
		}
		if j >= 0 {
			taken[j] = true
		}
		out = append(out, pair{i, j, false})
	}
	for k := range gots {
		if !taken[k] {
			out = append(out, pair{-1, k, false})
		}
	}
	return out
}

// assign gives each of n wants a got of its own that fits, as far as that is
// possible, and tells which have one.
func assign(n, m int, fits func(i, j int) bool) []bool {
	found := make([]bool, n)
	for i, j := range assignment(n, m, fits) {
		found[i] = j >= 0
	}
	return found
}

// assignment finds a largest matching by augmenting paths; -1 stands for none.
func assignment(n, m int, fits func(i, j int) bool) []int {
	owner := make([]int, m)
	for j := range owner {
		owner[j] = -1
	}
	var visited []bool
	var place func(i int) bool
	place = func(i int) bool {
		for j := range m {
			if visited[j] || !fits(i, j) {
				continue
			}
			visited[j] = true
			if owner[j] < 0 || place(owner[j]) {
				owner[j] = i
				return true
			}
		}
		return false
	}
	partner := make([]int, n)
	for i := range n {
		partner[i] = -1
		visited = make([]bool, m)
		place(i)
	}
	for j, i := range owner {
		if i >= 0 {
			partner[i] = j
		}
	}
	return partner
}

// similarity is the part of the fields that two records have in common, from 0
// to 1. A field with another value counts a little.
func similarity(a, b []byte) float64 {
	if len(a) == 0 || len(b) == 0 {
		return 0.5
	}
	x, y := leaves(a), leaves(b)
	if len(x)+len(y) == 0 {
		return 1
	}
	common := 0.0
	for _, f := range x {
		if i := slices.IndexFunc(y, func(g field) bool { return g.path == f.path }); i >= 0 {
			if common += 0.25; equal(f.val, y[i].val) {
				common += 0.75
			}
		}
	}
	return 2 * common / float64(len(x)+len(y))
}

// maxSame is how many fields without a difference are shown.
const maxSame = 6

// diff shows an expected event and the one that arrived, field by field.
func (e *Expect) diff(w *Want, ev *Event) []Line {
	var out []Line
	differ := func(name, want, got string) {
		out = append(out, Line{Expected, name, want}, Line{Actual, name, got})
	}
	if w.Tag != nil && *w.Tag != ev.Tag {
		differ("(tag)", *w.Tag, ev.Tag)
	}
	if w.Time != nil && *w.Time != ev.Time {
		differ("(time)", formatTime(*w.Time), formatTime(ev.Time))
	}
	if w.Meta != nil && !equal(w.Meta, ev.Meta) {
		differ("(metadata)", show(w.Meta), show(ev.Meta))
	}
	if w.Record == nil {
		return out
	}
	want, got := leaves(without(w.Record, e.Ignore)), leaves(without(ev.Record, e.Ignore))
	return append(out, diffLeaves(want, got, true)...)
}

// partDiff is diff for a record of which only the wanted fields count.
func partDiff(want, got []byte) []Line { return diffLeaves(leaves(want), leaves(got), false) }

func diffLeaves(want, got []field, extra bool) []Line {
	var out []Line
	same := 0
	for _, f := range want {
		i := slices.IndexFunc(got, func(g field) bool { return g.path == f.path })
		switch {
		case i < 0:
			out = append(out, Line{Expected, f.path, show(f.val)})
		case equal(f.val, got[i].val):
			if same++; same <= maxSame {
				out = append(out, Line{Same, f.path, show(f.val)})
			}
		default:
			out = append(out, Line{Expected, f.path, show(f.val)}, Line{Actual, f.path, show(got[i].val)})
		}
	}
	if extra {
		for _, g := range got {
			if !slices.ContainsFunc(want, func(f field) bool { return f.path == g.path }) {
				out = append(out, Line{Actual, g.path, show(g.val)})
			}
		}
	}
	if same > maxSame {
		out = append(out, Line{Heading, "", fmt.Sprintf("and %d fields that are the same", same-maxSame)})
	}
	return out
}

// show shows all of an event that counts.
func (e *Expect) show(ev *Event, op Op) []Line {
	var out []Line
	if e.exactKey == "events" {
		out = append(out, Line{op, "(tag)", ev.Tag}, Line{op, "(time)", formatTime(ev.Time)})
	}
	for _, f := range leaves(without(ev.Record, e.Ignore)) {
		out = append(out, Line{op, f.path, show(f.val)})
	}
	return out
}

func (e *Expect) showWant(w *Want) []Line {
	var out []Line
	if w.Tag != nil {
		out = append(out, Line{Expected, "(tag)", *w.Tag})
	}
	if w.Time != nil {
		out = append(out, Line{Expected, "(time)", formatTime(*w.Time)})
	}
	for _, f := range leaves(without(w.Record, e.Ignore)) {
		out = append(out, Line{Expected, f.path, show(f.val)})
	}
	return out
}
