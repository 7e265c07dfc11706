package stream

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kagarilog/kagari/event"
)

// defaultStateLimit is the memory of groups or of a snapshot, in bytes.
const defaultStateLimit = 16 << 20

// Task is a compiled statement with its state. Its methods may be called by any
// number of goroutines.
type Task struct {
	name     string
	query    string
	st       *statement
	plan     *plan
	opts     Options
	set      *Set
	snapshot *snapshot // of CREATE SNAPSHOT
	rows     sync.Pool
	dropped  atomic.Uint64
	gaveUp   atomic.Uint64

	mu sync.Mutex
	// table is the groups since the last batch, report or hop; slots are what is
	// before it in a hopping window, oldest first.
	table    groupTable
	slots    []groupTable
	slotSize int // of all slots
	// fresh: there is something that no report had.
	fresh bool
	// sorted is the results so far of a selection with ORDER BY.
	sorted     []sortedRow
	sortedSize int // estimate of the memory, in bytes
	sent       int // results, for LIMIT
}

type sortedRow struct {
	keys []val
	time int64
	rec  []byte
}

// Set is the tasks of one router. Add is not safe for concurrent use.
type Set struct {
	tasks []*Task
}

// NewSet returns an empty set.
func NewSet() *Set { return &Set{} }

// Tasks returns the tasks in the order in which they were added.
func (s *Set) Tasks() []*Task { return s.tasks }

// Compile reads a statement without adding it. The error is an *Error.
func (s *Set) Compile(name, query string, o Options) (t *Task, warnings []Warning, err error) {
	if o.StateLimit <= 0 {
		o.StateLimit = defaultStateLimit
	}
	st, warnings, err := parse(query, o)
	if err != nil {
		return nil, nil, err
	}
	t = &Task{name: name, query: query, st: st.statement, plan: st.plan, opts: o, set: s}
	keys := len(t.plan.keys.names)
	t.rows.New = func() any { return &row{keys: make([]event.Value, keys)} }
	if t.Kind() == CreateSnapshot {
		t.snapshot = &snapshot{limit: max(t.st.limit, 0), seconds: snapshotSeconds(t.st.props), bytes: o.StateLimit}
	}
	return t, warnings, nil
}

// Add makes a compiled task part of the set, so that FLUSH SNAPSHOT finds it.
func (s *Set) Add(t *Task) { s.tasks = append(s.tasks, t) }

// Clear removes all tasks.
func (s *Set) Clear() { s.tasks = nil }

// Name is the name of the task, which need not be unique.
func (t *Task) Name() string { return t.name }

// Query is the statement.
func (t *Task) Query() string { return t.query }

// Kind is what the task does.
func (t *Task) Kind() Kind { return t.st.kind }

// Stream is the name of the stream that the task creates, "" for none.
func (t *Task) Stream() string {
	if t.st.kind == FlushSnapshot {
		return "__flush_" + t.st.name
	}
	return t.st.name
}

// At makes an Error about the name of the stream, for names that are taken.
func (t *Task) At(msg, fix string) *Error {
	return &Error{Query: t.query, Offset: t.st.namePos, Msg: msg, Fix: fix}
}

// Property returns a property given with WITH. The first of several counts.
func (t *Task) Property(key string) (string, bool) {
	for _, p := range t.st.props {
		if p.key == key {
			return p.value, true
		}
	}
	return "", false
}

// Tag is the tag of the task's results.
func (t *Task) Tag() string {
	if tag, ok := t.Property("tag"); ok {
		return tag
	}
	return t.Stream()
}

// Source says which events the task is for.
func (t *Task) Source() Source { return t.st.source }

// Window says when Report and Hop must be called; its Size is 0 if never.
func (t *Task) Window() Window { return t.st.window }

// Columns are the keys of the results, in order; nil if there is a *.
func (t *Task) Columns() []string {
	var names []string
	for _, c := range t.st.columns {
		if c.star {
			return nil
		}
		names = append(names, c.name)
	}
	return names
}

// Aggregates tells whether the results are aggregates, whose events are made by
// the task and have no metadata.
func (t *Task) Aggregates() bool { return len(t.plan.aggregates) > 0 }

// Dropped is the number of records that were left out of groups or of what is
// sorted, or let go from a snapshot, because there were too many for the memory limit.
func (t *Task) Dropped() uint64 {
	n := t.dropped.Load()
	if t.snapshot != nil {
		t.snapshot.mu.Lock()
		defer t.snapshot.mu.Unlock()
		n += t.snapshot.crowded
	}
	return n
}

// GaveUp is how many matches of regular expressions were given up because they
// would have taken too many steps. They count as not matching.
func (t *Task) GaveUp() uint64 { return t.gaveUp.Load() }

// Groups is the number of groups held.
func (t *Task) Groups() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(t.table.list)
	for i := range t.slots {
		n += len(t.slots[i].list)
	}
	return n
}

// Process runs the task over the events of in and appends results to out: the
// records selected, or without a window the aggregates of this batch. It changes
// nothing of in but the form of its records.
func (t *Task) Process(in *event.Batch, now time.Time, out *event.Batch) {
	r := t.row(in.Tag, now)
	defer t.release(r)
	switch {
	case t.st.kind == CreateSnapshot:
		for i := range in.Events {
			t.snapshot.add(&in.Events[i])
		}
	case t.st.kind == FlushSnapshot:
		for i := range in.Events {
			if t.selects(r, &in.Events[i]) {
				t.flush(out)
				return // The snapshot is empty now.
			}
		}
	case t.Aggregates():
		t.mu.Lock()
		defer t.mu.Unlock()
		for i := range in.Events {
			if t.selects(r, &in.Events[i]) {
				t.gather(r)
			}
		}
		if t.st.window.Size == 0 && !t.opts.Whole {
			t.report(&t.table, r, out)
			t.table.reset()
			t.fresh = false
		}
	default:
		t.project(in, r, out)
	}
}

func (t *Task) row(tag string, now time.Time) *row {
	r := t.rows.Get().(*row)
	r.tag, r.now, r.buf = tag, now, r.buf[:0]
	return r
}

func (t *Task) release(r *row) {
	clear(r.keys)
	r.rec, r.at = nil, nil
	if r.gaveUp > 0 {
		t.gaveUp.Add(r.gaveUp)
		r.gaveUp = 0
	}
	if cap(r.buf) > 1<<16 {
		r.buf = nil
	}
	t.rows.Put(r)
}

// selects loads the row and tells whether WHERE takes it.
func (t *Task) selects(r *row, e *event.Event) bool {
	r.load(e, &t.plan.keys)
	return t.plan.where == nil || t.plan.where(r).truthy()
}

// project appends a result for each event that is selected, unless all of its
// columns are missing.
func (t *Task) project(in *event.Batch, r *row, out *event.Batch) {
	for i := range in.Events {
		e := &in.Events[i]
		if t.Done() {
			return
		}
		if !t.selects(r, e) {
			continue
		}
		dst, n := t.plan.appendColumns(out.Arena(len(r.rec)+64*len(t.plan.columns)), r)
		if n == 0 {
			continue
		}
		rec := out.SetArena(dst)
		if len(t.plan.order) > 0 {
			t.sort(r, e.Time, rec)
			continue
		}
		if t.opts.Exact && t.st.limit >= 0 {
			t.sent++
		}
		res := out.Add(e.Time)
		if len(e.Meta) > 0 {
			res.Meta = out.Bytes(e.Meta)
		}
		res.SetRecord(rec)
	}
}

// sort keeps a result until Report. With LIMIT no more than needed are kept.
func (t *Task) sort(r *row, at int64, rec event.Value) {
	t.mu.Lock()
	defer t.mu.Unlock()
	row := sortedRow{t.plan.sortKeys(r), at, slices.Clone(rec)}
	if t.sortedSize+row.size() > t.opts.StateLimit {
		t.dropped.Add(1)
		return
	}
	t.sorted = append(t.sorted, row)
	t.sortedSize += row.size()
	if limit := t.st.limit; limit >= 0 && len(t.sorted) > 2*limit+1000 {
		t.order()
		for i := limit; i < len(t.sorted); i++ {
			t.sortedSize -= t.sorted[i].size()
		}
		clear(t.sorted[limit:])
		t.sorted = t.sorted[:limit]
	}
}

// sortedOverhead is what a result that is to be sorted takes beside its bytes,
// and keyOverhead a key of it.
const sortedOverhead, keyOverhead = 80, 56

func (s *sortedRow) size() int {
	n := sortedOverhead + len(s.rec)
	for i := range s.keys {
		n += keyOverhead + len(s.keys[i].s)
	}
	return n
}

func (t *Task) order() {
	slices.SortStableFunc(t.sorted, func(a, b sortedRow) int { return t.plan.compareKeys(a.keys, b.keys) })
}

// Done tells whether LIMIT is reached, so that more events change nothing.
func (t *Task) Done() bool {
	return t.opts.Exact && t.st.limit >= 0 && t.sent >= t.st.limit && len(t.plan.order) == 0 && !t.Aggregates()
}

// appendColumns appends the record of a result and returns the number of its
// entries; with none nothing is to be kept.
func (p *plan) appendColumns(dst []byte, r *row) ([]byte, int) {
	start, most := len(dst), len(p.columns)
	if p.columns[0].star {
		most += r.rec.Len()
	}
	dst = mapHeader(dst, most)
	count := 0
	for i := range p.columns {
		c := &p.columns[i]
		switch {
		case c.star:
			n := 0
			dst, n = appendStar(dst, r.rec)
			count += n
		case c.slot >= 0:
			v := r.keys[c.slot]
			if len(c.path) > 0 && v != nil {
				v, _ = descend(v, c.path)
			}
			if v != nil {
				dst = append(append(dst, c.name...), v...)
				count++
			}
		default:
			if v := c.expr(r); v.k != missing {
				dst = v.append(append(dst, c.name...))
				count++
			}
		}
	}
	patchMap(dst[start:], count)
	return dst, count
}

// gather adds the row to its group. t.mu is held.
func (t *Task) gather(r *row) {
	var room [4]val
	values := room[:0]
	for _, g := range t.plan.groups {
		v, ok := t.opts.groupValue(g(r))
		if !ok {
			return
		}
		values = append(values, v)
	}
	from := len(r.buf)
	key := r.buf
	for _, v := range values {
		key = appendKey(key, v)
	}
	r.buf = key
	key = key[from:]
	g := t.table.index[string(key)]
	if g == nil {
		if t.slotSize+t.table.size+t.table.cost(key, len(t.plan.aggregates)) > t.opts.StateLimit {
			t.dropped.Add(1)
			return
		}
		g = t.table.add(key, values, len(t.plan.aggregates))
	}
	t.table.records++
	t.fresh = true
	g.records++
	for i := range t.plan.aggregates {
		a := &t.plan.aggregates[i]
		if a.arg != nil {
			g.sums[i].add(a, a.arg(r), r.time, &t.opts)
		}
	}
}

// report appends one event for each group. t.mu is held.
func (t *Task) report(table *groupTable, r *row, out *event.Batch) {
	list := table.list
	if len(t.plan.order) > 0 {
		t.plan.sortGroups(list, r)
	}
	at := r.now.UnixNano()
	r.time = at
	for _, g := range list {
		r.at, r.buf = g, r.buf[:0]
		if t.plan.having != nil && !t.plan.having(r).truthy() {
			continue
		}
		dst, n := t.plan.appendColumns(out.Arena(64*len(t.plan.columns)+len(g.data)), r)
		if n == 0 {
			continue
		}
		rec := out.SetArena(dst)
		out.Add(at).SetRecord(rec)
		if t.sent++; t.opts.Exact && t.st.limit >= 0 && t.sent >= t.st.limit {
			return
		}
	}
}

// flush moves the snapshots of the task's name to out.
func (t *Task) flush(out *event.Batch) {
	for _, other := range t.set.tasks {
		if other.st.kind == CreateSnapshot && other.st.name == t.st.name {
			other.snapshot.flush(out)
		}
	}
}
