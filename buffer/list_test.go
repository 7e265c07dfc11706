package buffer_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/kagarilog/kagari/buffer"
	"github.com/kagarilog/kagari/event"
)

// only returns the one file in a directory.
func only(t testing.TB, path string) buffer.File {
	t.Helper()
	l, err := buffer.List(path)
	if err != nil || len(l.Files) != 1 {
		t.Fatalf("%d files, %v", len(l.Files), err)
	}
	return l.Files[0]
}

func TestListChangesNothing(t *testing.T) {
	path := t.TempDir()
	d := open(t, path)
	c := chunk(t, "app", 3)
	if err := d.WriteFor("a/b", []string{"http.0"}, c); err != nil {
		t.Fatal(err)
	}
	part := filepath.Join(path, "a%2Fb", "18e9ca6df6f1b3b9b48e658ef1248827.chunk.part")
	if err := os.WriteFile(part, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := buffer.List(path)
	if err != nil || len(l.Files) != 1 || len(l.Unfinished) != 1 || len(l.Aside) != 0 {
		t.Fatalf("%+v, %v", l, err)
	}
	f := l.Files[0]
	if f.Info.Input != "a/b" || f.Info.Tag != "app" || f.Info.Count != 3 || f.Info.ID != c.ID || f.Info.Outputs[0] != "http.0" || f.Err != nil {
		t.Errorf("%+v", f)
	}
	if got, err := buffer.Load(f, ""); err != nil || got.Count != 3 {
		t.Error(err)
	}
	if _, err := os.Stat(part); err != nil {
		t.Error("the unfinished file is gone")
	}
	if err := d.Delete(f.Info); err != nil {
		t.Fatal(err)
	}
	if _, err := buffer.Load(f, ""); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("loading a chunk that was delivered meanwhile: %v", err)
	}
}

// Whatever single byte is damaged, it is found, and the entries that it does not
// touch are rescued.
func TestEntriesBehindTheDamageAreRescued(t *testing.T) {
	path := t.TempDir()
	d := open(t, path)
	if err := d.Write("in", chunk(t, "app", 20)); err != nil {
		t.Fatal(err)
	}
	f := only(t, path)
	good, err := os.ReadFile(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	for at := range good {
		bad := append([]byte(nil), good...)
		bad[at] ^= 0xff
		if err := os.WriteFile(f.Path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := buffer.Load(f, "guess")
		if !buffer.Damaged(err) {
			t.Fatalf("byte %d of %d: %v", at, len(good), err)
		}
		whole := 0
		if c != nil {
			whole = numbered(c)
		}
		if whole < 18 {
			t.Errorf("byte %d of %d is damaged and %d of 20 entries are rescued", at, len(good), whole)
		}
	}
}

// numbered counts the events with a number that is right.
func numbered(c *event.Chunk) (n int) {
	for cur := c.Cursor(); cur.Next(); {
		v, _ := cur.Record.Get("n")
		if i, ok := v.Int(); ok && i*1e9 == cur.Time {
			n++
		}
	}
	return n
}

// What was set aside is never overwritten, and rescued once.
func TestRepairTwice(t *testing.T) {
	path := t.TempDir()
	d := open(t, path)
	c := chunk(t, "app", 3)
	for range 2 {
		if err := d.Write("in", c); err != nil {
			t.Fatal(err)
		}
		f := only(t, path)
		if err := os.Truncate(f.Path, f.Bytes-8); err != nil {
			t.Fatal(err)
		}
		f = only(t, path)
		if !errors.Is(f.Err, buffer.ErrTorn) {
			t.Fatalf("the file that was cut: %v", f.Err)
		}
		r, err := d.Repair(f, "")
		if err != nil || r.Events != 2 {
			t.Fatalf("%+v, %v", r, err)
		}
		if r, err := d.Repair(only(t, path), ""); err != nil || r.Events != 0 || r.Err != nil {
			t.Errorf("repairing a good file: %+v, %v", r, err)
		}
	}
	aside, err := os.ReadDir(filepath.Join(path, "corrupt"))
	if err != nil || len(aside) != 2 {
		t.Errorf("%v, %v; want both originals", aside, err)
	}
	if l, err := buffer.List(path); err != nil || len(l.Aside) != 0 {
		t.Errorf("%+v, %v; want nothing left to rescue", l.Aside, err)
	}
}

func FuzzLoad(f *testing.F) {
	path := f.TempDir()
	d := open(f, path)
	if err := d.Write("in", chunk(f, "app", 3)); err != nil {
		f.Fatal(err)
	}
	name := only(f, path).Path
	good, err := os.ReadFile(name)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-9])
	f.Add(good[60:])
	f.Fuzz(func(t *testing.T, data []byte) {
		name := filepath.Join(t.TempDir(), filepath.Base(name))
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		file, ok, err := buffer.Stat(name)
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		for _, tag := range []string{"", "guess"} {
			c, err := buffer.Load(file, tag)
			if err != nil && !buffer.Damaged(err) {
				t.Fatal(err)
			}
			if c == nil || c.Signal != event.Logs {
				continue
			}
			n := 0
			cur := c.Cursor()
			for cur.Next() {
				n++
			}
			if n != c.Count || cur.Err() != nil {
				t.Fatalf("the chunk has %d events, not %d, %v", n, c.Count, cur.Err())
			}
		}
	})
}
