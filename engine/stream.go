package engine

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/stream"
)

// streamTask is a stream task in its place. It gets events behind the filters,
// and its results enter the router as those of a source with the name of the
// stream.
type streamTask struct {
	engine  *Engine
	id      string // unlike that of all other tasks
	task    *stream.Task
	from    *source // of FROM STREAM:name; nil with FROM TAG, or if there is none
	out     *source // nil: results are printed
	log     *slog.Logger
	dropped atomic.Uint64 // of the task, as the log knows it
	gaveUp  atomic.Uint64 // likewise
	refused atomic.Uint64 // results that were not taken, as the process was ending
}

// takes tells whether the task is for events of a source and a tag.
func (st *streamTask) takes(s *source, tag string) bool {
	if from := st.task.Source(); !from.Stream {
		return MatchTag(from.Name, tag)
	}
	return st.from == s
}

// lineage is the tasks that a batch went through. It travels in the context, so
// that it passes filters which emit events anew. A task never gets what it made,
// which would go round for ever.
type lineage struct {
	task *streamTask
	from *lineage
}

type lineageKey struct{}

func (l *lineage) has(st *streamTask) bool {
	for ; l != nil; l = l.from {
		if l.task == st {
			return true
		}
	}
	return false
}

// process runs the tasks over a batch, which stays as it is.
func (e *Engine) process(ctx context.Context, tasks []*streamTask, b *event.Batch) {
	from, _ := ctx.Value(lineageKey{}).(*lineage)
	now := time.Now()
	for _, st := range tasks {
		if from.has(st) {
			continue
		}
		out := event.NewBatch("")
		if err := protect(func() error { st.task.Process(b, now, out); return nil }); err != nil {
			st.log.Error("the stream task failed; its records go on without it", "error", err)
		}
		if n := st.task.Dropped(); n > st.dropped.Swap(n) {
			st.log.Warn("the stream task leaves out records: it holds as much as it may", "left_out", n)
		}
		if n := st.task.GaveUp(); n > st.gaveUp.Swap(n) {
			st.log.Warn("a regular expression was given up and counts as not matching", "given_up", n)
		}
		if len(out.Events) > 0 && st.out != nil && b.Ack != nil {
			b.Ack.Hold() // The source waits for the results too.
			out.Ack = b.Ack
		}
		st.emit(ctx, from, out)
	}
}

// emit sends results on, or prints them.
func (st *streamTask) emit(ctx context.Context, from *lineage, out *event.Batch) {
	if len(out.Events) == 0 {
		out.Free()
		return
	}
	if st.out == nil {
		if err := st.print(out); err != nil {
			st.log.Error("printing results failed", "error", err)
		}
		out.Free()
		return
	}
	out.Tag = st.out.defaultTag
	n := len(out.Events)
	ctx = context.WithValue(ctx, lineageKey{}, &lineage{st, from})
	if err := st.out.Emit(ctx, out); err != nil {
		st.refused.Add(uint64(n))
		st.log.Warn("results of the stream task were not taken", "records", n, "error", err)
	}
}

// print writes results to the standard output as Fluent Bit does: records as its
// output stdout, but always with the number 0, and aggregates in the form in
// which they are passed on there.
func (st *streamTask) print(out *event.Batch) error {
	var dst, row []byte
	for i := range out.Events {
		e := &out.Events[i]
		if st.task.Aggregates() {
			dst = append(strconv.AppendInt(append(dst, '['), int64(i), 10), "] "...)
			row = event.AppendArrayHeader(row[:0], 2)
			row = event.AppendExt(row, 0, eventTime(e.Time))
			row = append(row, e.Record()...)
			dst = append(event.AppendText(dst, row), '\n')
			continue
		}
		meta := e.Meta
		if len(meta) == 0 {
			meta = event.Value{0x80}
		}
		dst = fmt.Appendf(dst, "[0] [[%d.%09d, ", e.Time/1e9, e.Time%1e9)
		dst = append(event.AppendText(dst, meta), "], "...)
		dst = append(event.AppendText(dst, e.Record()), "]\n"...)
	}
	_, err := st.engine.stdout.Write(dst)
	return err
}

// eventTime is the payload of the forward protocol's EventTime.
func eventTime(ns int64) []byte {
	sec, nsec := uint32(ns/1e9), uint32(ns%1e9)
	return []byte{byte(sec >> 24), byte(sec >> 16), byte(sec >> 8), byte(sec), byte(nsec >> 24), byte(nsec >> 16), byte(nsec >> 8), byte(nsec)}
}

// report sends on what the window that ends now holds.
func (st *streamTask) report(ctx context.Context) {
	tag := ""
	if st.from != nil {
		tag = st.from.defaultTag
	}
	out := event.NewBatch("")
	if err := protect(func() error { st.task.Report(tag, time.Now(), out); return nil }); err != nil {
		st.log.Error("the stream task failed to report", "error", err)
	}
	st.emit(ctx, nil, out)
}

// run reports windows until ctx ends. A tumbling window ends every Size; a
// hopping one has a slot for every Advance and ends at Size, then every Advance.
func (st *streamTask) run(ctx context.Context) {
	w := st.task.Window()
	start := time.Now()
	period, end, hop := w.Size, start.Add(w.Size), start.Add(w.Advance)
	if w.Advance > 0 {
		period = w.Advance
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		next := end
		if w.Advance > 0 && !hop.After(end) {
			next = hop
		}
		timer.Reset(time.Until(next))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		// At the same moment the slot ends first.
		if w.Advance > 0 && !hop.After(end) {
			st.task.Hop()
			hop = hop.Add(w.Advance)
			continue
		}
		st.report(ctx)
		end = end.Add(period)
	}
}

// finishTasks reports at the end of the process what no report had yet, which
// Fluent Bit loses. Results may be what other tasks wait for.
func (e *Engine) finishTasks(ctx context.Context) {
	for range e.tasks {
		more := false
		for _, st := range e.tasks {
			if st.task.Window().Size > 0 && st.task.Fresh() {
				st.report(ctx)
				more = true
			}
		}
		if !more {
			return
		}
	}
}

// tasksFor returns the tasks for events of a source and a tag, in their order.
// What processors of outputs emit is behind them.
func (e *Engine) tasksFor(s *source, tag string) []*streamTask {
	var tasks []*streamTask
	if s.unbounded {
		return nil
	}
	for _, st := range e.tasks {
		if st.takes(s, tag) {
			tasks = append(tasks, st)
		}
	}
	return tasks
}
