package engine_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagarilog/kagari/buffer"
	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
)

// idle is an input that emits nothing until the process ends.
func idle(ctx context.Context, _ plugin.Emitter) error { <-ctx.Done(); return nil }

// storeSome leaves chunks of n records each on disk, as a process does whose
// output was never reached.
func storeSome(t *testing.T, dir string, chunks, n int) {
	t.Helper()
	d := buffer.New(dir, false)
	if err := d.Open(); err != nil {
		t.Fatal(err)
	}
	for i := range chunks {
		b := event.NewBatch("t")
		for j := range n {
			b.Add(1).Append(b.String("n"), b.Int(int64(i*n+j)))
		}
		bu := event.NewBuilder("t", event.Logs, time.Now().Add(time.Duration(i)))
		bu.Seal(b, 0, 1<<30)
		b.Free()
		if err := d.Write("in", bu.Chunk()); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

// chunkFiles lists the stored chunks.
func chunkFiles(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.chunk"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// The HTTP server asks for metrics before and while the engine starts.
func TestMetricsMayBeReadDuringTheStart(t *testing.T) {
	b := newBench(t)
	b.cfg.Service.Storage.Path = t.TempDir()
	b.input(false, func(context.Context, plugin.Emitter) error { return plugin.ErrStop })
	b.output(new(collector).send, "match", "*")
	e := b.engine()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 200 {
			e.Metrics()
		}
	}()
	if _, err := e.Run(t.Context()); err != nil {
		t.Error(err)
	}
	<-done
}

func TestStorageInUseRefusesTheStart(t *testing.T) {
	dir := t.TempDir()
	d := buffer.New(dir, false)
	if err := d.Open(); err != nil {
		t.Fatal(err)
	}
	b := newBench(t)
	b.cfg.Service.Storage.Path = dir
	b.input(false, idle)
	b.output(new(collector).send, "match", "*")
	if _, err := b.engine().Run(t.Context()); !errors.Is(err, buffer.ErrInUse) {
		t.Errorf("starting on the storage of another process: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// A file that cannot be read at the moment is not a damaged one.
func TestStoredChunkThatCannotBeReadNowIsKept(t *testing.T) {
	dir := t.TempDir()
	storeSome(t, dir, 2, 3)
	second := chunkFiles(t, dir)[1]
	b := newBench(t)
	b.cfg.Service.Storage.Path = dir
	var got collector
	b.input(false, func(context.Context, plugin.Emitter) error {
		for range 200 {
			if time.Sleep(10 * time.Millisecond); len(got.numbers()) == 6 {
				break
			}
		}
		return plugin.ErrStop
	})
	b.output(func(ctx context.Context, c *event.Chunk) error {
		if len(got.numbers()) == 0 {
			// A link to itself in the place of the file is an error that is not about
			// data, and one that a single step puts right.
			if err := errors.Join(os.Rename(second, second+".moved"), os.Symlink(second, second)); err != nil {
				t.Error(err)
			}
			time.AfterFunc(150*time.Millisecond, func() {
				if err := os.Rename(second+".moved", second); err != nil {
					t.Error(err)
				}
			})
		}
		return got.send(ctx, c)
	}, "match", "*")
	b.run()
	if !slices.Equal(got.numbers(), upTo(6)) {
		t.Errorf("got %v, want all records once the file can be read again", got.numbers())
	}
}

func TestDamagedChunkIsSetAsideOnce(t *testing.T) {
	dir := t.TempDir()
	storeSome(t, dir, 1, 3)
	file := chunkFiles(t, dir)[0]
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-6] ^= 0xff
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBench(t)
	b.cfg.Service.Storage.Path = dir
	b.input(false, func(context.Context, plugin.Emitter) error {
		time.Sleep(100 * time.Millisecond)
		return plugin.ErrStop
	})
	b.output(new(collector).send, "match", "*")
	b.output(new(collector).send, "match", "*")
	e := b.engine()
	sum, err := e.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if sum.Dropped != 6 {
		t.Errorf("%d records are counted as dropped, want 3 for each of two outputs", sum.Dropped)
	}
	aside, err := filepath.Glob(filepath.Join(dir, "corrupt", "*"))
	if err != nil || len(aside) != 1 {
		t.Errorf("set aside: %v, %v; want one file", aside, err)
	}
	for _, m := range e.Metrics() {
		if strings.HasPrefix(m.Name, "kagari_storage_bytes") && m.Value != 0 {
			t.Errorf("%s is %v with nothing on disk", m.Name, m.Value)
		}
	}
}
