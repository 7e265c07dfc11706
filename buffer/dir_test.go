package buffer_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kagarilog/kagari/buffer"
	"github.com/kagarilog/kagari/event"
)

func chunk(t testing.TB, tag string, n int) *event.Chunk {
	t.Helper()
	b := event.NewBatch(tag)
	for i := range n {
		e := b.Add(int64(i) * 1e9)
		e.Append(b.String("n"), b.Int(int64(i)))
	}
	bu := event.NewBuilder(tag, event.Logs, time.Now())
	bu.Seal(b, 0, 1<<20)
	b.Free()
	return bu.Chunk()
}

func open(t testing.TB, path string) *buffer.Dir {
	t.Helper()
	d := buffer.New(path, true)
	if err := d.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// reopen is what the next process does.
func reopen(t testing.TB, d *buffer.Dir, path string) *buffer.Dir {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, path)
}

func TestDirectoryBelongsToOneProcess(t *testing.T) {
	path := t.TempDir()
	d := open(t, path)
	other := buffer.New(path, false)
	if err := other.Open(); !errors.Is(err, buffer.ErrInUse) {
		t.Errorf("opening a directory in use: %v, want ErrInUse", err)
	}
	reopen(t, d, path)
	if err := other.Close(); err != nil {
		t.Error(err)
	}
}

func TestDirectoryThatCannotBeWrittenIsRefusedAtOnce(t *testing.T) {
	path := t.TempDir()
	// A directory in the place of the lock file stands for all that forbids files.
	if err := os.Mkdir(filepath.Join(path, "lock"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := buffer.New(path, false).Open(); err == nil {
		t.Error("a directory in which no file can be made is opened without an error")
	}
}

// Aliases are free text, and a chunk must be found under any of them.
func TestAnyInputNameComesBack(t *testing.T) {
	for _, name := range []string{"tail.0", "corrupt", "lock", ".", "..", "", "a/b", "%2e", "ü x", "C:\\x"} {
		path := t.TempDir()
		c := chunk(t, "app", 1)
		d := open(t, path)
		if err := d.Write(name, c); err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		d = reopen(t, d, path)
		found, damaged, err := d.Scan()
		if err != nil || len(found) != 1 || len(damaged) != 0 {
			t.Errorf("%q: Scan: %v, %v, %v", name, found, damaged, err)
			continue
		}
		if _, err := d.Read(found[0]); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		if err := d.Delete(found[0]); err != nil || d.Bytes() != 0 {
			t.Errorf("%q: deleting: %v, %d bytes left", name, err, d.Bytes())
		}
	}
}

func TestLongTags(t *testing.T) {
	path := t.TempDir()
	d := open(t, path)
	long := chunk(t, strings.Repeat("t", 200_000), 2)
	if err := d.Write("in", long); err != nil {
		t.Fatal(err)
	}
	if err := d.Write("in", chunk(t, strings.Repeat("t", 2<<20), 2)); err == nil {
		t.Error("a chunk with a tag of 2 MB is stored, but could not be read back")
	}
	d = reopen(t, d, path)
	found, damaged, err := d.Scan()
	if err != nil || len(damaged) != 0 || len(found) != 1 || found[0].Tag != long.Tag {
		t.Fatalf("Scan: %d found, damaged %v, error %v", len(found), damaged, err)
	}
}

func TestSetAsideIsCountedOnce(t *testing.T) {
	path := t.TempDir()
	d := open(t, path)
	c := chunk(t, "app", 1)
	if err := d.Write("in", c); err != nil {
		t.Fatal(err)
	}
	info := buffer.Info{ID: c.ID, Input: "in"}
	if _, err := d.SetAside(info); err != nil {
		t.Fatal(err)
	}
	if _, err := d.SetAside(info); err == nil {
		t.Error("a file is set aside twice")
	}
	if err := d.Delete(info); err != nil || d.Bytes() != 0 || d.Chunks() != 0 {
		t.Errorf("left: %d bytes, %d chunks, error %v", d.Bytes(), d.Chunks(), err)
	}
}

func TestOneUnreadableFolderHidesNoOther(t *testing.T) {
	path := t.TempDir()
	d := open(t, path)
	if err := d.Write("a", chunk(t, "app", 1)); err != nil {
		t.Fatal(err)
	}
	// A file that cannot be removed: a directory with something in it.
	if err := os.MkdirAll(filepath.Join(path, "0", "x.chunk.part", "y"), 0o700); err != nil {
		t.Fatal(err)
	}
	d = reopen(t, d, path)
	found, _, err := d.Scan()
	if err == nil || len(found) != 1 {
		t.Errorf("Scan: %d found, error %v; want the chunk and an error", len(found), err)
	}
}

func TestChunksComeBackInOrderOfCreation(t *testing.T) {
	path := t.TempDir()
	d := open(t, path)
	var want []*event.Chunk
	for i := range 5 {
		c := chunk(t, "app", i+1)
		if err := d.Write([]string{"tail.0", "a/../b"}[i%2], c); err != nil {
			t.Fatal(err)
		}
		want = append(want, c)
	}
	d = reopen(t, d, path)
	found, damaged, err := d.Scan()
	if err != nil || len(damaged) != 0 || len(found) != 5 {
		t.Fatalf("Scan: %d found, damaged %v, error %v", len(found), damaged, err)
	}
	for i, info := range found {
		c, err := d.Read(info)
		if err != nil {
			t.Fatal(err)
		}
		if c.ID != want[i].ID || c.Tag != "app" || c.Count != i+1 || !bytes.Equal(c.Bytes(), want[i].Bytes()) {
			t.Errorf("chunk %d is %v, tag %s, %d events; want %v, app, %d", i, c.ID, c.Tag, c.Count, want[i].ID, i+1)
		}
		if err := d.Delete(info); err != nil {
			t.Error(err)
		}
	}
	if d.Bytes() != 0 || d.Chunks() != 0 {
		t.Errorf("after deleting all: %d bytes, %d chunks", d.Bytes(), d.Chunks())
	}
}

func TestTornFileIsSetAsideAndItsWholeEntriesRescued(t *testing.T) {
	path := t.TempDir()
	c := chunk(t, "app", 10)
	d := open(t, path)
	if err := d.Write("in", c); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(path, "in", c.ID.String()+".chunk")
	st, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, st.Size()-10); err != nil {
		t.Fatal(err)
	}
	d = reopen(t, d, path)
	found, damaged, err := d.Scan()
	if err != nil {
		t.Fatal(err)
	}
	if len(damaged) != 1 || damaged[0].Events != 9 || len(found) != 1 || found[0].Count != 9 {
		t.Fatalf("found %+v, damaged %+v; want one chunk of 9 rescued events", found, damaged)
	}
	if _, err := os.Stat(damaged[0].Path); err != nil {
		t.Errorf("the damaged file is gone: %v", err)
	}
	if _, err := d.Read(found[0]); err != nil {
		t.Error(err)
	}
}

func TestFlippedByteIsFoundOnRead(t *testing.T) {
	path := t.TempDir()
	c := chunk(t, "app", 10)
	d := open(t, path)
	if err := d.Write("in", c); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(path, "in", c.ID.String()+".chunk")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-20] ^= 1
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	d = reopen(t, d, path)
	found, _, err := d.Scan()
	if err != nil || len(found) != 1 {
		t.Fatalf("Scan: %v, %v", found, err)
	}
	if _, err := d.Read(found[0]); err == nil {
		t.Error("a chunk with a flipped byte is read without an error")
	}
	aside, err := d.SetAside(found[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(aside); err != nil {
		t.Error(err)
	}
}

func FuzzScan(f *testing.F) {
	path := f.TempDir()
	c := chunk(f, "app", 3)
	d := open(f, path)
	if err := d.Write("in", c); err != nil {
		f.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(path, "in", c.ID.String()+".chunk"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		path := t.TempDir()
		if err := os.MkdirAll(filepath.Join(path, "in"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, "in", c.ID.String()+".chunk"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		d := open(t, path)
		found, _, err := d.Scan()
		if err != nil {
			t.Fatal(err)
		}
		for _, info := range found {
			if c, err := d.Read(info); err == nil {
				for cur := c.Cursor(); cur.Next(); {
					_ = cur.Record
				}
			}
		}
	})
}
