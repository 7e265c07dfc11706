package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/stream"
)

// streamsFile is the name of the sections of the streams file. As in Fluent Bit a
// mistake in there disables all tasks; one in the main file disables only its own
// task. Both do not stop a start.
const streamsFile = "stream_task"

// streamTasks compiles the stream tasks and puts them in their places.
func (b *builder) streamTasks() {
	set := stream.NewSet()
	b.engine.tasks = nil
	bad := false
	var sources []*source
	for _, sec := range b.cfg.StreamTasks {
		st := b.streamTask(set, sec)
		if st == nil {
			bad = bad || sec.Name == streamsFile
			continue
		}
		set.Add(st.task)
		b.engine.tasks = append(b.engine.tasks, st)
		if st.out != nil {
			sources = append(sources, st.out)
			b.engine.emitters = append(b.engine.emitters, st.out)
		}
	}
	for i, st := range b.engine.tasks {
		b.unusedTask(i, st, set)
	}
	if bad {
		b.problem(option.Warning, b.streamsPos(), streamsFile, "because of a mistake in the streams file no stream task runs")
		b.engine.tasks = nil
		b.engine.emitters = slices.DeleteFunc(b.engine.emitters, func(s *source) bool { return slices.Contains(sources, s) })
	}
}

// streamsPos is the place of the first task of the streams file.
func (b *builder) streamsPos() option.Pos {
	for _, sec := range b.cfg.StreamTasks {
		if sec.Name == streamsFile {
			return option.Pos{File: sec.Pos.File}
		}
	}
	return option.Pos{}
}

// streamTask compiles one task. It returns nil after a mistake.
func (b *builder) streamTask(set *stream.Set, sec *plugin.Section) *streamTask {
	var name string
	var exec option.Value
	for _, p := range sec.Props {
		switch p.Key {
		case "name":
			name = p.Value.Text
		case "exec":
			exec = p.Value
		}
	}
	task, warnings, err := set.Compile(name, exec.Text, stream.Options{KeepText: !b.cfg.Service.StringsToNumbers})
	for i := range warnings {
		b.streamProblem(option.Warning, name, exec, (*stream.Error)(&warnings[i]))
	}
	if err == nil && task.Stream() != "" && b.sourceNamed(task.Stream(), false) != nil {
		err = task.At(fmt.Sprintf("there is an input or stream with the name %q already", task.Stream()), "")
	}
	var mistake *stream.Error
	if errors.As(err, &mistake) {
		severity := option.Warning
		if b.opts.Check {
			severity = option.Error
		}
		e := *mistake
		e.Msg += "; the stream task does not run"
		b.streamProblem(severity, name, exec, &e)
		return nil
	}
	if err != nil {
		panic("BUG: " + err.Error())
	}
	st := &streamTask{engine: b.engine, id: fmt.Sprintf("stream_task.%d", len(b.engine.tasks)), task: task,
		log: b.opts.Handler.Named("stream:"+name, nil)}
	if from := task.Source(); from.Stream {
		st.from = b.sourceNamed(from.Name, true)
		if st.from == nil && !b.incomplete {
			b.streamProblem(option.Warning, name, exec, b.noSource(task))
		}
	}
	if task.Stream() != "" {
		st.id = task.Stream()
		st.out = b.streamSource(task, name, exec)
		st.out.log = st.log
	}
	return st
}

// streamSource makes the source of a task's results.
func (b *builder) streamSource(task *stream.Task, name string, exec option.Value) *source {
	s := b.source(task.Stream(), "stream_processor")
	s.name, s.defaultTag, s.listed = task.Stream(), task.Tag(), true
	if v, ok := task.Property("routable"); ok {
		s.unroutable = !slices.Contains([]string{"true", "on", "yes", "1"}, strings.ToLower(v))
	}
	if v, _ := task.Property("storage.type"); strings.EqualFold(v, "filesystem") {
		s.filesystem = b.engine.dir != nil
		if !s.filesystem {
			b.streamProblem(option.Warning, name, exec, task.At("storage.type filesystem has no effect without storage.path in the service section", ""))
		}
	}
	if from := task.Source(); task.Kind() == stream.CreateStream && !from.Stream && MatchTag(from.Name, s.defaultTag) {
		b.streamProblem(option.Warning, name, exec, &stream.Error{Query: task.Query(), Offset: from.Offset,
			Msg: fmt.Sprintf("TAG:'%s' fits the tag %q of the task's own results; the task does not get them", from.Name, s.defaultTag)})
	}
	return s
}

// sourceNamed finds an input or stream by its name or alias.
func (b *builder) sourceNamed(name string, fold bool) *source {
	same := func(s string) bool { return s == name || fold && strings.EqualFold(s, name) }
	for _, in := range b.engine.inputs {
		if same(in.id) || same(in.name) {
			return in.source
		}
	}
	for _, s := range b.engine.emitters {
		if s.listed && same(s.id) {
			return s
		}
	}
	return nil
}

// noSource says that FROM STREAM names nothing.
func (b *builder) noSource(task *stream.Task) *stream.Error {
	from := task.Source()
	e := &stream.Error{Query: task.Query(), Offset: from.Offset, Msg: fmt.Sprintf("there is no input or stream %q before this task, so it gets nothing", from.Name)}
	var known []string
	for _, in := range b.engine.inputs {
		known = append(known, in.id)
	}
	for _, s := range b.engine.emitters {
		if s.listed {
			known = append(known, s.id)
		}
	}
	if e.Fix = option.DidYouMean(from.Name, known); e.Fix == "" && len(known) > 0 && len(known) <= 8 {
		e.Fix = "there are " + strings.Join(known, ", ")
	}
	return e
}

// unusedTask warns about a snapshot that is never flushed, and about a flush
// without one.
func (b *builder) unusedTask(i int, st *streamTask, set *stream.Set) {
	kind, other, msg := stream.FlushSnapshot, "", ""
	switch st.task.Kind() {
	case stream.CreateSnapshot:
		other, msg = "__flush_"+st.task.Stream(), "no task flushes the snapshot"
	case stream.FlushSnapshot:
		kind, other, msg = stream.CreateSnapshot, strings.TrimPrefix(st.task.Stream(), "__flush_"), "no task creates the snapshot"
	default:
		return
	}
	for _, t := range set.Tasks() {
		if t.Kind() == kind && t.Stream() == other {
			return
		}
	}
	var pos option.Pos
	for _, sec := range b.cfg.StreamTasks {
		for _, p := range sec.Props {
			if p.Key == "exec" && p.Value.Text == st.task.Query() {
				pos = p.Value.Pos
			}
		}
	}
	b.problem(option.Warning, pos, "stream task "+st.task.Name(), "%s", msg)
}

// streamProblem reports what is wrong with a statement, at its place in the file.
func (b *builder) streamProblem(severity option.Severity, name string, exec option.Value, e *stream.Error) {
	pos, found := b.cfg.Sources.Find(exec.Pos, e.Query, e.Offset)
	msg := e.Msg
	if !found {
		msg = fmt.Sprintf("line %d, column %d of the statement, at %q: %s", e.Line(), e.Col(), around(e), e.Msg)
	}
	b.problems = append(b.problems, option.Problem{Severity: severity, Pos: pos, Section: "stream task " + name, Key: "exec", Message: msg, Fix: e.Fix})
}

// around returns the text of a statement at a mistake.
func around(e *stream.Error) string {
	from := max(strings.LastIndexByte(e.Query[:e.Offset], ' ')+1, e.Offset-20)
	if e.Offset == len(e.Query) {
		from = max(e.Offset-20, 0)
	}
	return strings.ToValidUTF8(e.Query[from:min(e.Offset+20, len(e.Query))], "")
}
