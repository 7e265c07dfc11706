package tail

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/plugin/plugintest"
)

// copyTruncate does to a file what logrotate does with copytruncate.
func (r *rig) copyTruncate(name, to string) {
	r.Helper()
	b, err := os.ReadFile(r.path(name))
	r.must(err)
	r.write(to, string(b))
	r.must(os.Truncate(r.path(name), 0))
}

// What was not read when a file was copied and truncated is read from the copy.
func TestCopyTruncateWhileHeldBack(t *testing.T) {
	bothWays(t, func(t *testing.T, r *rig, kv ...string) {
		r.write("a.log", "one\n")
		r.write("a.log.9", "of old\n")
		r.start(append(kv, "path_key", "p", "refresh_interval", "1h")...)
		r.want(`{"p":"$/a.log","log":"one"}`)
		unblock := r.em.Block()
		r.append("a.log", "two\n")
		r.settle()
		r.append("a.log", "three\n")
		r.settle()
		r.copyTruncate("a.log", "a.log.1")
		r.settle()
		r.append("a.log", "four\n")
		r.settle()
		unblock()
		r.want(`{"p":"$/a.log","log":"one"}`, `{"p":"$/a.log","log":"two"}`, `{"p":"$/a.log","log":"three"}`, `{"p":"$/a.log","log":"four"}`)
		r.eventually("the copy is closed", func() bool { return r.in.closed.Load() == 1 })
		if n := r.in.unreadBytes.Load(); n != 0 {
			t.Errorf("%d bytes count as lost", n)
		}
	})
}

// The same for a file that has grown beyond what it was before anybody looks.
func TestCopyTruncateUnnoticed(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "one\n")
	r.start("inotify_watcher", "off", "progress_check_interval", "30ms")
	r.lines("one")
	unblock := r.em.Block()
	r.append("a.log", "two\n")
	r.settle()
	r.append("a.log", "three\n")
	r.write("a.log.1", "one\ntwo\nthree\n")
	// One write, so that there is no moment at which the file is shorter.
	f, err := os.OpenFile(r.path("a.log"), os.O_WRONLY, 0)
	r.must(err)
	_, err = f.WriteString("another line that is longer than all before\n")
	r.must(err)
	r.must(f.Close())
	r.settle()
	unblock()
	r.lines("one", "two", "three", "another line that is longer than all before")
}

// The same for a file of which nothing was read.
func TestCopyTruncateOfAFileThatWasNotRead(t *testing.T) {
	r := newRig(t)
	r.write("0.log", "other\n")
	unblock := r.em.Block()
	r.start("path_key", "p", "path", "$/?.log")
	r.eventually("the other file is opened", func() bool { return r.in.opened.Load() == 1 })
	r.write("a.log", "one\ntwo\n")
	r.eventually("the file is opened", func() bool { return r.in.opened.Load() == 2 })
	r.settle()
	r.copyTruncate("a.log", "a-2026.log")
	r.append("a.log", "3\n")
	r.settle()
	unblock()
	r.want(`{"p":"$/0.log","log":"other"}`, `{"p":"$/a.log","log":"one"}`, `{"p":"$/a.log","log":"two"}`, `{"p":"$/a.log","log":"3"}`)
}

// Records that were read but not delivered when the file was copied and
// truncated are read from the copy after a kill.
func TestCopyTruncateAndAKill(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "one\n")
	r.start("db", "$/pos.db")
	r.lines("one")
	r.eventually("the offset is stored", func() bool { return readRows(t, r.path("pos.db"))[0].offset == 4 })
	release := r.em.HoldAcks()
	defer release()
	r.append("a.log", "two\n")
	r.lines("one", "two")
	r.copyTruncate("a.log", "a.log.1")
	r.settle()
	r.append("a.log", "three\n")
	r.lines("one", "two", "three")
	r.die()
	r.restart("two", "three")
}

// restart runs a new input and waits for these lines, in any order.
func (r *rig) restart(lines ...string) {
	r.Helper()
	r.newEnv()
	r.em = &plugintest.Emitter{}
	r.start("db", "$/pos.db", "path_key", "p")
	var want []string
	for _, l := range lines {
		want = append(want, `{"p":"`+r.path("a.log")+`","log":"`+l+`"}`)
	}
	r.em.Wait(r.T, len(want))
	r.settle()
	got := r.em.Records()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		r.Errorf("records %q, want %q", got, want)
	}
	r.eventually("the rest is closed and forgotten", func() bool { return len(readRows(r.T, r.path("pos.db"))) == 1 })
}

func TestCopyTruncateWhileDown(t *testing.T) {
	f := func(name, next string) {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.write("a.log", "one\n")
			r.start("db", "$/pos.db")
			r.lines("one")
			r.stop()
			r.append("a.log", "two\n")
			r.copyTruncate("a.log", "a.log.1")
			r.append("a.log", next+"\n")
			r.restart("two", next)
		})
	}
	f("shorter", "3")
	f("longer", strings.Repeat("3", 20))
}

// Without a copy it is counted what is lost.
func TestTruncationOfWhatWasNotRead(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "one\n")
	r.start()
	r.lines("one")
	unblock := r.em.Block()
	r.append("a.log", "two\n")
	r.settle()
	r.append("a.log", "three\nfour\n")
	r.settle()
	r.must(os.Truncate(r.path("a.log"), 0))
	r.settle()
	unblock()
	r.append("a.log", "5\n")
	r.lines("one", "two", "5")
	if n := r.in.unreadBytes.Load(); n != 11 {
		t.Errorf("%d bytes count as lost, want 11", n)
	}
	r.logged("unread_bytes=11")
}

// A file that only loses its end, in front of which nothing has changed, is not
// read again.
func TestTruncationBehindTheOffset(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "one\n")
	r.start()
	r.lines("one")
	unblock := r.em.Block()
	r.append("a.log", "two\n")
	r.settle()
	r.append("a.log", "three\nfour\n")
	r.settle()
	r.must(os.Truncate(r.path("a.log"), int64(len("one\ntwo\nthree\n"))))
	r.settle()
	unblock()
	r.lines("one", "two", "three")
	r.settle()
	r.lines("one", "two", "three")
}

// Lines that wait for others when their file is copied and truncated come once.
func TestCopyTruncateWithJoinedLines(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "2024-04-01T12:00:00.1Z stdout P one \n")
	r.start("multiline.parser", "cri", "db", "$/pos.db")
	r.settle()
	r.copyTruncate("a.log", "a.log.1")
	r.settle()
	r.append("a.log", "2024-04-01T12:00:00.3Z stdout F three\n")
	r.want(`{"time":"2024-04-01T12:00:00.1Z","stream":"stdout","_p":"P","log":"one "}`,
		`{"time":"2024-04-01T12:00:00.3Z","stream":"stdout","_p":"F","log":"three"}`)
}
