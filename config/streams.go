package config

import (
	"strings"

	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

// streamTask takes the name and query of a task; a task without them is left
// out with a warning. Nothing is expanded in it.
func (l *loader) streamTask(s *section, name string) (*plugin.Section, bool) {
	out := &plugin.Section{Name: name, Pos: s.pos}
	for _, key := range []string{"name", "exec"} {
		p, ok := find(s.body, key)
		if !ok || p.val.shape != option.Scalar || p.val.text == "" {
			l.warn(s.pos, "", "the stream task has no %s and is ignored", key)
			return nil, false
		}
		out.Props = append(out.Props, option.Property{Key: key, Value: rawValue(p.val), Pos: p.key.pos})
	}
	for _, p := range s.body {
		if canonical(p.key.text, []string{"name", "exec"}) == "" {
			l.warn(p.key.pos, option.DidYouMean(p.key.text, []string{"name", "exec"}), "the key %q is not known and is ignored", p.key.text)
		}
	}
	return out, true
}

// streamsFile reads the tasks of streams_file. As in Fluent Bit a file that is
// missing or wrong does not stop the pipeline, but there are no tasks at all
// then, those of the main file included.
func (l *loader) streamsFile() {
	path := l.cfg.Service.StreamsFile
	if path == "" {
		return
	}
	var at option.Pos
	for _, s := range l.cfg.Tree.sections {
		if p, ok := find(s.body, "streams_file"); ok && s.kind == kindService {
			at = p.val.pos
		}
	}
	var ps option.Problems
	own := l.ps
	l.ps = &ps
	tree := l.readOther(path, at, "streams file")
	var tasks []*plugin.Section
	ok := true
	for _, s := range tree.sections {
		if !strings.EqualFold(s.name, "stream_task") && !strings.EqualFold(s.name, "stream_processor") {
			l.warn(s.pos, option.DidYouMean(s.name, []string{"STREAM_TASK"}), "only stream tasks are read from a streams file; the section %q is ignored", s.name)
			continue
		}
		t, good := l.streamTask(s, "stream_task")
		ok = ok && good
		tasks = append(tasks, t)
	}
	l.ps = own
	ok = ok && !ps.HasErrors()
	for _, p := range ps {
		p.Severity = option.Warning
		*l.ps = append(*l.ps, p)
	}
	if !ok {
		l.warn(at, "", "because of the mistakes in the streams file no stream task runs")
		l.cfg.StreamTasks = nil
		return
	}
	l.cfg.StreamTasks = append(l.cfg.StreamTasks, tasks...)
}
