package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/metrictext"
	"github.com/kagarilog/kagari/plugin"
)

var _ plugin.Output = (*Output)(nil)

// bufferMax is the largest buffer that is kept for the next chunk.
const bufferMax = 8 << 20

// Send appends c to its file or files. What goes wrong with a file is worth a
// retry; what has no file because of its fields is rejected.
func (o *Output) Send(ctx context.Context, c *event.Chunk) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer func() {
		if cap(o.buf) > bufferMax {
			o.buf = nil
		}
	}()
	if c.Signal == event.Metrics {
		text, err := metrictext.Append(o.buf[:0], c.Bytes())
		o.buf = text
		if err != nil {
			return plugin.Permanent(err)
		}
		return o.write(ctx, o.places.ofTag(c.Tag), text, nil)
	}
	if o.places.dynamic() {
		return o.sendEach(ctx, c)
	}
	var columns event.Value
	o.buf = o.buf[:0]
	if o.format == formatMsgpack {
		return o.write(ctx, o.places.ofTag(c.Tag), c.Bytes(), nil)
	}
	cur := c.Cursor()
	for cur.Next() {
		o.buf = o.appendRecord(o.buf, c.Tag, &cur)
		if o.header && columns == nil && cur.Record.Len() > 0 {
			columns = cur.Record
		}
	}
	if err := cur.Err(); err != nil {
		return plugin.Permanent(fmt.Errorf("read chunk: %w", err))
	}
	return o.write(ctx, o.places.ofTag(c.Tag), o.buf, columns)
}

// destination is the records of a chunk that go to one file.
type destination struct {
	path    string
	text    []byte
	columns event.Value
	events  []int
}

// sendEach sends the records of c each to its own file. Files that fail do not
// keep the others from being written.
func (o *Output) sendEach(ctx context.Context, c *event.Chunk) error {
	var all []*destination
	byPath := map[string]*destination{}
	var rejected []int
	var why string
	cur := c.Cursor()
	for cur.Next() {
		path, v, reason := o.places.of(c.Tag, &cur)
		switch v {
		case drop:
			o.stats.Drop(reason, 1)
			o.log.Warn("record dropped: it has no file of its own", "reason", reason)
			continue
		case refuse:
			rejected, why = append(rejected, cur.Index), reason
			continue
		}
		d := byPath[path]
		if d == nil {
			d = &destination{path: path}
			byPath[path] = d
			all = append(all, d)
		}
		d.text = o.appendRecord(d.text, c.Tag, &cur)
		d.events = append(d.events, cur.Index)
		if o.header && d.columns == nil && cur.Record.Len() > 0 {
			d.columns = cur.Record
		}
	}
	if err := cur.Err(); err != nil {
		return plugin.Permanent(fmt.Errorf("read chunk: %w", err))
	}
	var failed error
	failing := map[int]bool{}
	for _, d := range all {
		if err := o.write(ctx, d.path, d.text, d.columns); err != nil {
			failed = errors.Join(failed, err)
			for _, i := range d.events {
				failing[i] = true
			}
		}
	}
	if rejected != nil {
		failed = errors.Join(failed, fmt.Errorf("%d records have no file of their own: %s", len(rejected), why))
	}
	if failed == nil {
		return nil
	}
	partial := &plugin.PartialError{Err: failed, Rejected: rejected}
	for i := range c.Count {
		if failing[i] {
			partial.Retry = append(partial.Retry, i)
		}
	}
	return partial
}

// write appends text to a file, after a line of column names if columns is not
// nil and the file is new.
func (o *Output) write(ctx context.Context, path string, text []byte, columns event.Value) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("write %q: %w", path, err)
	}
	if o.rotation != nil {
		o.rotation.check(path, time.Now())
	}
	f, err := o.open(path)
	if err != nil {
		return err
	}
	// Files on a disk have no deadlines; pipes and terminals do.
	stop := context.AfterFunc(ctx, func() { _ = f.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	info, err := f.Stat()
	if err == nil && columns != nil && info.Size() == 0 {
		text = append(o.appendColumns(nil, columns), text...)
	}
	if err == nil {
		err = appendAll(f, info, text)
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("write %q: %w", path, err)
	}
	return nil
}

// open opens a file for appending, as Fluent Bit does for reading too, so that
// a pipe without a reader does not block.
func (o *Output) open(path string) (*os.File, error) {
	try := func() (*os.File, error) {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o666)
		if errors.Is(err, fs.ErrPermission) {
			f, err = os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o666)
		}
		return f, err
	}
	f, err := try()
	if o.mkdir && errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, fmt.Errorf("make the folder of %q: %w", path, err)
		}
		f, err = try()
	}
	if err != nil {
		return nil, fmt.Errorf("open file: %w", err)
	}
	return f, nil
}

// appendAll appends text or, as far as that can be done, nothing.
func appendAll(f *os.File, before os.FileInfo, text []byte) error {
	n, err := f.Write(text)
	if err == nil || n == 0 || !before.Mode().IsRegular() {
		return err
	}
	// Somebody else may have appended meanwhile. Only what is certainly ours,
	// at the very end, is taken away.
	after, statErr := f.Stat()
	pos, seekErr := f.Seek(0, io.SeekCurrent)
	if err2 := errors.Join(statErr, seekErr); err2 != nil {
		return fmt.Errorf("%w; %d bytes of it are in the file and will be there twice: %w", err, n, err2)
	}
	if start := pos - int64(n); after.Size() != pos || before.Size() > start {
		return fmt.Errorf("%w; %d bytes of it are in the file and will be there twice, because another program writes to it", err, n)
	}
	if err2 := f.Truncate(pos - int64(n)); err2 != nil {
		return fmt.Errorf("%w; %d bytes of it are in the file and will be there twice: %w", err, n, err2)
	}
	return err
}
