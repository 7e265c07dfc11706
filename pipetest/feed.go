package pipetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/input/tail"
)

// conduct feeds the steps of a test into the pipeline, one after the other.
func (r *rig) conduct(ctx context.Context, t *Test) error {
	for i := range t.Inputs {
		f := &t.Inputs[i]
		if err := r.feed(ctx, f); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return &placedError{f.Pos, err}
		}
	}
	return nil
}

func (r *rig) feed(ctx context.Context, f *Feed) error {
	if f.Wait > 0 {
		select {
		case <-time.After(f.Wait):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	in := r.direct
	if f.Input != "" {
		var err error
		if in, err = r.input(f.Input); err != nil {
			return fmt.Errorf("find the input: %w", err)
		}
	}
	if f.Lines == nil && f.File == "" {
		return in.feedEvents(ctx, f)
	}
	var text []byte
	for _, line := range f.Lines {
		text = append(append(text, line...), '\n')
	}
	if f.File != "" {
		var err error
		if text, err = os.ReadFile(f.File); err != nil {
			return fmt.Errorf("read lines: %w", err)
		}
	}
	if c, ok := in.config.(*tail.Config); ok {
		return in.feedTail(ctx, c, f, text)
	}
	if f.Path != "" {
		return fmt.Errorf("path is for inputs that read files, which %s does not", in.name)
	}
	return in.feedLines(ctx, f, text)
}

// emit hands a batch to the pipeline once it runs.
func (in *input) emit(ctx context.Context, b *event.Batch) error {
	select {
	case out := <-in.ready:
		in.ready <- out
		return out.Emit(ctx, b)
	case <-ctx.Done():
		b.Free()
		return ctx.Err()
	}
}

// tag is the tag that the input gives to what is fed into it.
func (in *input) tag(f *Feed) (string, error) {
	switch {
	case f.Tag != "":
		return f.Tag, nil
	case in.env.Tag == "" && in.plugin == "forward":
		return "", errors.New("the input forward takes the tags of its clients; give one, tag: app")
	case strings.ContainsAny(in.env.Tag, "*<$"):
		return "", fmt.Errorf("the input makes its tags of %s; give lines, or say the tag of the records, tag: app", in.env.Tag)
	case in.env.Tag != "":
		return in.env.Tag, nil
	}
	return in.env.DefaultTag, nil
}

func (in *input) feedEvents(ctx context.Context, f *Feed) error {
	tag, err := in.tag(f)
	if err != nil {
		return err
	}
	b := event.NewBatch(tag)
	now := time.Now().UnixNano()
	for _, src := range f.Events {
		e := b.Add(now)
		if src.Time != 0 {
			e.Time = src.Time
		}
		e.Meta = src.Meta
		e.SetRecord(src.Record)
	}
	return in.emit(ctx, b)
}

// feedLines gives lines to an input that is no tail: through the parser that it
// has, or as the JSON objects that it takes.
func (in *input) feedLines(ctx context.Context, f *Feed, text []byte) error {
	tag, err := in.tag(f)
	if err != nil {
		return err
	}
	b := event.NewBatch(tag)
	now := time.Now().UnixNano()
	i := 0
	for line := range strings.Lines(string(text)) {
		i++
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		if in.parser != "" {
			p, err := in.env.Parser(in.parser)
			if err != nil {
				return err
			}
			if e := b.Add(now); !p.Parse([]byte(line), e) {
				b.Events = b.Events[:len(b.Events)-1]
				in.env.Log.Warn("a line does not fit the parser and is dropped", "parser", in.parser, "line", line)
			}
			continue
		}
		rec, rest, err := event.AppendJSON(nil, []byte(line))
		if err != nil || event.Value(rec).Kind() != event.KindMap || strings.TrimSpace(string(rest)) != "" {
			return fmt.Errorf("line %d is no JSON object, and the input %s has no parser; give records instead of lines", i, in.name)
		}
		b.Add(now).SetRecord(rec)
	}
	return in.emit(ctx, b)
}
