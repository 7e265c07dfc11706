package pipetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/input/tail"
	"github.com/kagarilog/kagari/plugin"
)

// feedTail runs the real input over a file with the text. The file stands in a
// temporary directory under the path that it has for the test, and all paths of
// the options are moved there; tags and path_key then lose the directory again.
func (in *input) feedTail(ctx context.Context, options *tail.Config, f *Feed, text []byte) (err error) {
	root, err := os.MkdirTemp("", "kagari-test-")
	if err != nil {
		return fmt.Errorf("make a place for the lines: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	path := f.Path
	if path == "" {
		path = example(options.Path)
	}
	file := inside(root, path)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("make a place for the lines: %w", err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return fmt.Errorf("write the lines: %w", err)
	}

	c := *options
	c.Path, c.ExcludePath = moved(root, c.Path), moved(root, c.ExcludePath)
	c.DB, c.IgnoreOlder = "", 0
	c.ReadFromHead, c.ExitOnEOF = true, true
	env := *in.env
	env.Stats = &plugin.Stats{}
	if f.Tag != "" {
		env.Tag = f.Tag
	}
	real, err := c.New(&env)
	if err != nil {
		return fmt.Errorf("make the input %s: %w", in.name, err)
	}
	if closer, ok := real.(interface{ Close() error }); ok {
		defer func() { err = errors.Join(err, closer.Close()) }()
	}
	if starter, ok := real.(plugin.Starter); ok {
		if err := starter.Start(ctx); err != nil {
			return fmt.Errorf("start the input %s: %w", in.name, err)
		}
	}
	if env.Stats.Counter("fluentbit_input_files_opened_total", "", "", "").Load() == 0 {
		return fmt.Errorf("the input %s does not read the file %s; its path is %s%s", in.name, path,
			strings.Join(options.Path, ", "), excluding(options.ExcludePath))
	}
	err = real.Run(ctx, &relocator{in: in, root: root, absolute: filepath.IsAbs(path), key: c.PathKey})
	if errors.Is(err, plugin.ErrStop) {
		err = nil
	}
	return err
}

func excluding(patterns []string) string {
	if len(patterns) == 0 {
		return ""
	}
	return " without " + strings.Join(patterns, ", ")
}

// example is a path that the first pattern matches.
func example(patterns []string) string {
	if len(patterns) == 0 {
		return "test.log"
	}
	var b strings.Builder
	class := false
	for _, c := range patterns[0] {
		switch {
		case class:
			if class = c != ']'; !class {
				b.WriteByte('0')
			}
		case c == '[':
			class = true
		case c == '*':
			b.WriteString("test")
		case c == '?':
			b.WriteByte('x')
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

// inside is a path below root, whatever the path is.
func inside(root, path string) string {
	return filepath.Join(root, filepath.Clean(string(filepath.Separator)+path))
}

func moved(root string, patterns []string) []string {
	var out []string
	for _, p := range patterns {
		out = append(out, inside(root, p))
	}
	return out
}

// relocator takes the temporary directory out of what a tail input emits.
type relocator struct {
	in       *input
	root     string
	absolute bool   // the path for the test begins with a slash
	key      string // path_key, or ""
}

var _ plugin.Emitter = (*relocator)(nil)

// Emit implements plugin.Emitter.
func (r *relocator) Emit(ctx context.Context, b *event.Batch) error {
	b.Tag = strings.Replace(b.Tag, dotted(r.root)+".", "", 1)
	if r.key != "" {
		for i := range b.Events {
			r.restorePath(&b.Events[i])
		}
	}
	return r.in.emit(ctx, b)
}

// dotted is a path as it stands in a tag.
func dotted(path string) string {
	return strings.Join(strings.FieldsFunc(path, func(c rune) bool { return strings.ContainsRune(`/\:.*`, c) }), ".")
}

func (r *relocator) restorePath(e *event.Event) {
	v, _ := e.Get(r.key)
	if len(v) == 0 {
		return
	}
	s, _ := v.Str()
	path, ok := strings.CutPrefix(string(s), r.root)
	if !ok {
		return
	}
	if !r.absolute {
		path = strings.TrimPrefix(path, string(filepath.Separator))
	}
	val := event.Value(event.AppendString(nil, path))
	fields := e.Fields()
	for i := range fields {
		if fields[i].Is(r.key) {
			fields[i].Val = val
		}
	}
	e.SetFields(fields)
}
