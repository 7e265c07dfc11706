package tail

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kagarilog/kagari/plugin/plugintest"
)

// bothWays runs a test with notifications and with polling.
func bothWays(t *testing.T, f func(t *testing.T, r *rig, kv ...string)) {
	t.Run("watching", func(t *testing.T) { f(t, newRig(t)) })
	t.Run("polling", func(t *testing.T) { f(t, newRig(t), "inotify_watcher", "off") })
}

func TestRotationByRename(t *testing.T) {
	bothWays(t, func(t *testing.T, r *rig, kv ...string) {
		r.write("a.log", "1\n")
		r.start(append(kv, "path_key", "p", "rotate_wait", "1s")...)
		r.want(`{"p":"$/a.log","log":"1"}`)
		r.rename("a.log", "a.log.1")
		r.append("a.log.1", "late\n")
		// It is still called what it was called when it was found.
		r.want(`{"p":"$/a.log","log":"1"}`, `{"p":"$/a.log","log":"late"}`)
		r.write("a.log", "new\n")
		r.want(`{"p":"$/a.log","log":"1"}`, `{"p":"$/a.log","log":"late"}`, `{"p":"$/a.log","log":"new"}`)
		r.append("a.log.1", "later\n")
		r.em.Wait(t, 4)
		r.eventually("the old file is closed", func() bool { return r.in.closed.Load() == 1 })
		if n := r.in.rotated.Load(); n != 1 {
			t.Errorf("%d files count as rotated", n)
		}
	})
}

func TestRotationWithNewFileAtOnce(t *testing.T) {
	bothWays(t, func(t *testing.T, r *rig, kv ...string) {
		r.write("a.log", "0\n")
		r.start(append(kv, "refresh_interval", "1h")...)
		r.em.Wait(t, 1)
		want := []string{"0"}
		for i := 1; i <= 5; i++ {
			r.rename("a.log", "a.log."+string(rune('0'+i)))
			line := strings.Repeat("x", i)
			r.write("a.log", line+"\n")
			want = append(want, line)
			r.lines(want...)
		}
		r.eventually("the old files are closed", func() bool { return r.in.closed.Load() == 5 })
	})
}

// Files that are rotated away while the reader is held back are opened in time.
func TestRotationWhileHeldBack(t *testing.T) {
	bothWays(t, func(t *testing.T, r *rig, kv ...string) {
		r.write("a.log", "0\n")
		unblock := r.em.Block()
		r.start(append(kv, "refresh_interval", "1h")...)
		for i := 1; i <= 3; i++ {
			opened := uint64(i)
			r.eventually("the file is opened", func() bool { return r.in.opened.Load() == opened })
			r.must(os.Remove(r.path("a.log")))
			r.write("a.log", strings.Repeat("x", i)+"\n")
		}
		r.eventually("the last file is opened", func() bool { return r.in.opened.Load() == 4 })
		unblock()
		r.lines("0", "x", "xx", "xxx")
	})
}

// A file that is rotated to a name that is read as well is not read twice.
func TestRotationWithinThePaths(t *testing.T) {
	bothWays(t, func(t *testing.T, r *rig, kv ...string) {
		r.write("a.log", "1\n")
		r.start(append(kv, "path", "$/a.log*")...)
		r.lines("1")
		r.rename("a.log", "a.log.1")
		r.write("a.log", "2\n")
		r.lines("1", "2")
		r.settle()
		r.append("a.log.1", "late\n")
		r.lines("1", "2", "late")
		r.settle()
		r.lines("1", "2", "late")
		if n := r.in.closed.Load(); n != 0 {
			t.Errorf("%d files were closed", n)
		}
	})
}

func TestTruncation(t *testing.T) {
	bothWays(t, func(t *testing.T, r *rig, kv ...string) {
		r.write("a.log", "first line\nsecond line\n")
		r.start(kv...)
		r.lines("first line", "second line")
		r.must(os.Truncate(r.path("a.log"), 0))
		r.settle()
		r.append("a.log", "fresh\n")
		r.lines("first line", "second line", "fresh")
	})
}

// A file may be truncated and grow beyond the old size before anybody looks.
func TestTruncationUnnoticed(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "first line\nsecond line, unfinished")
	r.start()
	r.lines("first line")
	for i, content := range []string{"another first line that is longer\nand one more line\n", strings.Repeat("x", 51) + "\n"} {
		before := len(r.em.Records())
		// One write, so that there is no moment at which the file is shorter. The
		// second leaves the size as it is.
		f, err := os.OpenFile(r.path("a.log"), os.O_WRONLY, 0)
		r.must(err)
		_, err = f.WriteString(content)
		r.must(err)
		r.must(f.Close())
		r.em.Wait(t, before+strings.Count(content, "\n"))
		if got, want := len(r.em.Records()), before+strings.Count(content, "\n"); got != want {
			t.Errorf("round %d: %d records, want %d", i, got, want)
		}
	}
}

func TestCopyTruncateWithAWriterThatKeepsItsOffset(t *testing.T) {
	r := newRig(t)
	f, err := os.Create(r.path("a.log"))
	r.must(err)
	defer f.Close()
	_, err = f.WriteString("one\n")
	r.must(err)
	r.start()
	r.lines("one")
	r.must(os.Truncate(r.path("a.log"), 0))
	r.settle()
	_, err = f.WriteString("two\n") // leaves four zeros in front
	r.must(err)
	r.lines("one", "two")
}

func TestRemovedFileIsReadToItsEnd(t *testing.T) {
	bothWays(t, func(t *testing.T, r *rig, kv ...string) {
		f, err := os.Create(r.path("a.log"))
		r.must(err)
		defer f.Close()
		_, err = f.WriteString("one\n")
		r.must(err)
		r.start(kv...)
		r.lines("one")
		r.must(os.Remove(r.path("a.log")))
		_, err = f.WriteString("two\nunfinished")
		r.must(err)
		r.lines("one", "two", "unfinished")
		r.eventually("the file is closed", func() bool { return r.in.closed.Load() == 1 })
	})
}

// Files are held open until all that was read of them is acknowledged.
func TestRotatedFileStaysOpenUntilAcknowledged(t *testing.T) {
	r := newRig(t)
	release := r.em.HoldAcks()
	r.write("a.log", "one\n")
	r.start()
	r.lines("one")
	r.rename("a.log", "gone")
	r.eventually("the rotation is seen", func() bool { return r.in.rotated.Load() == 1 })
	r.settle()
	if n := r.in.closed.Load(); n != 0 {
		t.Fatal("the file was closed")
	}
	release()
	r.eventually("the file is closed", func() bool { return r.in.closed.Load() == 1 })
}

func TestSymbolicLink(t *testing.T) {
	bothWays(t, func(t *testing.T, r *rig, kv ...string) {
		r.must(os.Mkdir(r.path("real"), 0o755))
		r.write("real/0.log", "1\n")
		r.must(os.Symlink(r.path("real/0.log"), r.path("a.log")))
		r.start(append(kv, "path_key", "p", "progress_check_interval", "50ms")...)
		r.want(`{"p":"$/a.log","log":"1"}`)
		r.append("real/0.log", "2\n")
		r.em.Wait(t, 2)
		// The target is rotated, as a kubelet does.
		r.rename("real/0.log", "real/0.log.1")
		r.append("real/0.log.1", "3\n")
		r.write("real/0.log", "4\n")
		r.em.Wait(t, 4)
		r.append("real/0.log", "5\n")
		r.em.Wait(t, 5)
		// The link is replaced.
		r.write("real/1.log", "6\n")
		r.must(os.Symlink(r.path("real/1.log"), r.path("next")))
		r.rename("next", "a.log")
		r.want(`{"p":"$/a.log","log":"1"}`, `{"p":"$/a.log","log":"2"}`, `{"p":"$/a.log","log":"3"}`,
			`{"p":"$/a.log","log":"4"}`, `{"p":"$/a.log","log":"5"}`, `{"p":"$/a.log","log":"6"}`)
	})
}

func TestHeldBackReaderRests(t *testing.T) {
	r := newRig(t)
	unblock := r.em.Block()
	r.write("a.log", strings.Repeat("line\n", 200_000))
	r.start()
	r.settle()
	if n := len(r.em.Events()); n != 0 {
		t.Fatalf("%d events", n)
	}
	if pos := r.only().pos.Load(); pos != 0 {
		t.Errorf("position %d while nothing was taken", pos)
	}
	unblock()
	r.em.Wait(t, 200_000)
}

func TestFilesTakeTurns(t *testing.T) {
	r := newRig(t)
	const lines = 20_000
	r.write("a.log", strings.Repeat("a\n", lines))
	r.write("b.log", strings.Repeat("b\n", lines))
	r.start("static_batch_size", "1000")
	r.em.Wait(t, 2*lines)
	first := -1
	for i, rec := range r.em.Records() {
		if rec == `{"log":"b"}` {
			first = i
			break
		}
	}
	if first < 0 || first > 2000 {
		t.Errorf("the second file came after %d lines of the first", first)
	}
}

func TestManyFiles(t *testing.T) {
	r := newRig(t)
	const n = 3000
	name := func(i int) string { return "f" + strings.Repeat("0", 4-len(digits(i))) + digits(i) + ".log" }
	for i := range n {
		r.write(name(i), "x\n")
	}
	begin := time.Now()
	r.start("refresh_interval", "1h", "progress_check_interval", "1h", "db", "$/pos.db")
	r.em.Wait(t, n)
	for i := range n {
		r.append(name(i), "y\n")
	}
	r.em.Wait(t, 2*n)
	t.Logf("%d files took %v", n, time.Since(begin))
	r.stop()
}

func digits(i int) string {
	if i < 10 {
		return string(rune('0' + i))
	}
	return digits(i/10) + digits(i%10)
}

func TestWatchLimit(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "1\n")
	in := r.make()
	in.keeper.watch.start = noWatcher
	r.run = plugintest.Run(t, in, r.em)
	r.lines("1")
	r.append("a.log", "2\n")
	r.lines("1", "2")
	if n := strings.Count(r.log.String(), "fs.inotify.max_user_watches"); n != 1 {
		t.Errorf("%d warnings", n)
	}
}

// However much is left in a file when it is rotated, it comes before the lines
// of the new one.
func TestRotatedFileComesFirst(t *testing.T) {
	r := newRig(t)
	const lines = 30_000
	r.write("a.log", strings.Repeat("old\n", lines))
	unblock := r.em.Block()
	r.start("static_batch_size", "2000", "refresh_interval", "1h")
	r.eventually("the file is opened", func() bool { return r.in.opened.Load() == 1 })
	r.rename("a.log", "a.log.1")
	r.write("a.log", strings.Repeat("new\n", lines))
	r.eventually("the new file is opened", func() bool { return r.in.opened.Load() == 2 })
	unblock()
	r.em.Wait(t, 2*lines)
	for i, rec := range r.em.Records() {
		if (rec == `{"log":"new"}`) != (i >= lines) {
			t.Fatalf("record %d is %s", i, rec)
		}
	}
}
