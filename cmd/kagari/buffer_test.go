package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagarilog/kagari/buffer"
	"github.com/kagarilog/kagari/event"
)

// storage makes a directory with chunks of two records each for these inputs
// and returns the files by input.
func storage(t *testing.T, inputs ...string) (dir string, files map[string]string) {
	t.Helper()
	dir = t.TempDir()
	d := buffer.New(dir, false)
	if err := d.Open(); err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	files = map[string]string{}
	for i, input := range inputs {
		b := event.NewBatch("t")
		for n := range 2 {
			b.Add(int64(n)*1e9).Append(b.String("n"), b.Int(int64(n)))
		}
		bu := event.NewBuilder("t", event.Logs, time.Now().Add(time.Duration(i)))
		bu.Seal(b, 0, 1<<30)
		b.Free()
		c := bu.Chunk()
		if err := d.Write(input, c); err != nil {
			t.Fatal(err)
		}
		files[input] = filepath.Join(dir, input, c.ID.String()+".chunk")
	}
	return dir, files
}

// edit changes a file.
func edit(t *testing.T, name string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err == nil {
		err = os.WriteFile(name, change(b), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// kagari runs a command in this process.
func kagari(t *testing.T, wantCode int, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if code := run(args, strings.NewReader(""), &out, &out); code != wantCode {
		t.Errorf("kagari %v: exit code %d, want %d\n%s", args, code, wantCode, out.String())
	}
	return out.String()
}

var chunkName = regexp.MustCompile(`[0-9a-f]{32}`)

func TestVerifyAndRepair(t *testing.T) {
	dir, files := storage(t, "bits", "cut", "good", "head", "nothing")
	edit(t, files["bits"], func(b []byte) []byte { b[len(b)-6] ^= 0xff; return b })
	edit(t, files["cut"], func(b []byte) []byte { return b[:len(b)-10] })
	edit(t, files["head"], func(b []byte) []byte { b[20] ^= 0xff; return b })
	edit(t, files["nothing"], func([]byte) []byte { return nil })
	same := func(got, want string) {
		t.Helper()
		got = chunkName.ReplaceAllString(strings.ReplaceAll(got, dir+string(filepath.Separator), ""), "ID")
		if got != want {
			t.Errorf("got:\n%s\nwant:\n%s", got, want)
		}
	}
	before := fileCount(t, dir)
	same(kagari(t, 1, "buffer", "verify", dir), `bits/ID.chunk: the data is damaged; 2 records whole
cut/ID.chunk: the file ends early; 1 record whole
head/ID.chunk: the header is damaged; 0 records whole
nothing/ID.chunk: the file ends early; 0 records whole
1 chunk good, 4 damaged
`)
	if out := kagari(t, 1, "buffer", "show", dir); strings.Count(out, `"record"`) != 5 {
		t.Errorf("show prints not what is whole:\n%s", out)
	}

	// A router at work keeps its chunks to itself, but may be looked at.
	d := buffer.New(dir, false)
	if err := d.Open(); err != nil {
		t.Fatal(err)
	}
	if out := kagari(t, 1, "buffer", "repair", dir); !strings.Contains(out, "another process uses it; stop the router first") {
		t.Error(out)
	}
	kagari(t, 0, "buffer", "ls", dir)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}

	same(kagari(t, 1, "buffer", "repair", dir), `bits/ID.chunk: the data is damaged; 2 records rescued, the original kept as corrupt/bits.ID.chunk.rescued
cut/ID.chunk: the file ends early; 1 record rescued, the original kept as corrupt/cut.ID.chunk.rescued
head/ID.chunk: the header is damaged; nothing can be rescued, kept as corrupt/head.ID.chunk
nothing/ID.chunk: the file ends early; nothing can be rescued, kept as corrupt/nothing.ID.chunk
2 chunks repaired, 3 records rescued, 2 beyond repair
`)
	same(kagari(t, 0, "buffer", "verify", dir), "3 chunks good, 0 damaged, 2 set aside before\n")
	same(kagari(t, 1, "buffer", "repair", "--tag", "guess", dir), `corrupt/head.ID.chunk: the header is damaged; 2 records rescued, the original kept as corrupt/head.ID.chunk.rescued
corrupt/nothing.ID.chunk: the file ends early; nothing can be rescued, kept as corrupt/nothing.ID.chunk
1 chunk repaired, 2 records rescued, 1 beyond repair
`)
	if out := kagari(t, 0, "buffer", "show", dir); strings.Count(out, `"record"`) != 7 || strings.Count(out, `"guess"`) != 2 {
		t.Errorf("the rescued records are not all there:\n%s", out)
	}
	// Nothing is ever deleted: three chunks were added.
	if after := fileCount(t, dir); after != before+3 {
		t.Errorf("%d files, there were %d", after, before)
	}
}

// Every receiver of the forward protocol understands the messages.
func TestExportForward(t *testing.T) {
	dir, _ := storage(t, "in")
	out := []byte(kagari(t, 0, "buffer", "export", "-o", "forward", dir))
	msg, rest, err := event.Next(out)
	if err != nil || len(rest) != 0 {
		t.Fatalf("%v, %d bytes left", err, len(rest))
	}
	items := slices.Collect(msg.Items())
	if tag, _ := items[0].Str(); len(items) != 3 || string(tag) != "t" {
		t.Fatalf("%q", out)
	}
	entries, _ := items[1].Str()
	for n := range 2 {
		var entry event.Value
		if entry, entries, err = event.Next(entries); err != nil {
			t.Fatal(err)
		}
		parts := slices.Collect(entry.Items())
		typ, at, _ := parts[0].Ext()
		v, _ := parts[1].Get("n")
		if i, _ := v.Int(); typ != 0 || !bytes.Equal(at, []byte{0, 0, 0, byte(n), 0, 0, 0, 0}) || int(i) != n {
			t.Errorf("entry %d: %x", n, entry)
		}
	}
	if size, _ := items[2].Get("size"); len(entries) != 0 || !bytes.Equal(size, []byte{2}) {
		t.Errorf("%q", out)
	}
}

func fileCount(t *testing.T, dir string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
