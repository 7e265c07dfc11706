// Package head is the input head: it reads the beginning of a file again and
// again.
package head

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/interval"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

//go:embed doc.md
var doc string

// Def describes the input.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindInput,
		Name:    "head",
		Summary: "Reads the beginning of a file again and again",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the input.
type Config struct {
	File      string
	Key       string
	BufSize   int64
	Lines     int
	SplitLine bool
	AddPath   bool
	Interval  interval.Options
}

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	fields := []option.Field{
		option.String(&c.File, "file", "",
			"The file, such as /proc/uptime.").WithRequired(),
		option.String(&c.Key, "key", "head",
			"Key of the text in the record."),
		option.Size(&c.BufSize, "buf_size", "256",
			"How much of the file is read when lines is not given."),
		option.Int(&c.Lines, "lines", 0,
			"How many lines are read; 0 means buf_size bytes."),
		option.Bool(&c.SplitLine, "split_line", false,
			"Give each line a field of its own: line0, line1 and so on. Without lines it reads ten."),
		option.Bool(&c.AddPath, "add_path", false,
			"Add the name of the file to the record as path."),
	}
	return append(fields, c.Interval.Fields()...)
}

// sizeLimit is the most that buf_size and lines may ask for, so that a record
// fits into a chunk.
const sizeLimit = 1 << 24

// New makes the input.
func (c *Config) New(env *plugin.Env) (plugin.Input, error) {
	if c.BufSize < 1 || c.BufSize > sizeLimit {
		return nil, option.At("buf_size", fmt.Errorf("buf_size is %d; it must be from 1 to 16M", c.BufSize))
	}
	if c.Lines > sizeLimit/maxPiece {
		return nil, option.At("lines", fmt.Errorf("lines is %d; it must be at most %d", c.Lines, sizeLimit/maxPiece))
	}
	in := &Input{
		tag: env.OwnTag(), log: env.Log, every: c.Interval.Duration(),
		file: c.File, key: c.Key, size: int(c.BufSize), lines: max(0, c.Lines), split: c.SplitLine, addPath: c.AddPath,
	}
	if in.split && in.lines == 0 {
		in.lines = 10
	}
	if in.split {
		env.Log.Warn("as in Fluent Bit, split_line turns the newline at the end of a line into a NUL character")
	}
	return in, nil
}

// Input reads the file.
type Input struct {
	tag     string
	log     *slog.Logger
	every   time.Duration
	file    string
	key     string
	size    int
	lines   int
	split   bool
	addPath bool
}

var _ plugin.Input = (*Input)(nil)

// Run reads the file in every interval.
func (in *Input) Run(ctx context.Context, out plugin.Emitter) error {
	return interval.Run(ctx, in.every, func() error {
		b := event.NewBatch(in.tag)
		e := b.Add(time.Now().UnixNano())
		read := in.whole
		if in.split {
			read = in.fields
		}
		if err := read(e); err != nil {
			in.log.Error("the file could not be read", "error", err)
			if !errors.Is(err, errOpen) || in.split {
				b.Free()
				return nil
			}
		}
		return out.Emit(ctx, b)
	})
}

// errOpen says that the file could not be opened.
var errOpen = errors.New("open file")

func (in *Input) open() (*os.File, error) {
	f, err := os.Open(in.file)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errOpen, err)
	}
	return f, nil
}

// maxPiece is the longest piece that counts as one line, as in Fluent Bit.
const maxPiece = 510

// whole sets the record of e to the beginning of the file as one text, which
// is empty if the file cannot be opened.
func (in *Input) whole(e *event.Event) error {
	text, err := in.beginning()
	b := e.Batch()
	e.Append(b.String(in.key), b.Text(text))
	in.path(e)
	return err
}

func (in *Input) beginning() ([]byte, error) {
	f, err := in.open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if in.lines == 0 {
		text := make([]byte, in.size)
		n, err := io.ReadFull(f, text)
		if err != nil && !isEnd(err) {
			return nil, fmt.Errorf("read file: %w", err)
		}
		return text[:n], nil
	}
	var text []byte
	err = eachLine(f, in.lines, maxPiece, func(_ int, line []byte) { text = append(text, line...) })
	return text, err
}

// fields sets the record of e to a field for each line; those beyond the end
// of the file are empty.
func (in *Input) fields(e *event.Event) error {
	f, err := in.open()
	if err != nil {
		return err
	}
	defer f.Close()
	in.path(e)
	b := e.Batch()
	next := 0
	add := func(i int, line []byte) {
		if n := len(line); n > 0 && line[n-1] == '\n' {
			line[n-1] = 0
		}
		e.Append(b.String("line"+strconv.Itoa(i)), b.Text(line))
		next = i + 1
	}
	if err := eachLine(f, in.lines, max(in.size-1, 1), add); err != nil {
		return err
	}
	for i := next; i < in.lines; i++ {
		add(i, nil)
	}
	return nil
}

func (in *Input) path(e *event.Event) {
	if in.addPath {
		b := e.Batch()
		e.Append(b.String("path"), b.String(in.file))
	}
}

// eachLine calls f with up to n lines, the newline included. A piece of piece
// bytes counts as a line.
func eachLine(r io.Reader, n, piece int, f func(i int, line []byte)) error {
	br := bufio.NewReaderSize(r, piece)
	for i := range n {
		line, err := br.ReadSlice('\n')
		if len(line) > 0 {
			f(i, line)
		}
		if isEnd(err) {
			return nil
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return fmt.Errorf("read file: %w", err)
		}
	}
	return nil
}

func isEnd(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
