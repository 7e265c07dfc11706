package tail

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func noWatcher() (*fsnotify.Watcher, error) { return nil, syscall.EMFILE }

func TestDefinition(t *testing.T) {
	plugintest.Definition(t, Def(), "path", "/nowhere/*.log")
}

func TestInputContract(t *testing.T) {
	plugintest.Input(t, plugintest.InputSuite{
		Def: Def(),
		Open: func(t *testing.T) plugintest.Source {
			r := &rig{T: t, dir: t.TempDir()}
			r.write("a.log", "one\n")
			return plugintest.Source{
				Props: []string{"path", r.path("*.log"), "read_from_head", "on"},
				Feed:  func(*testing.T) { r.append("a.log", "more\n") },
			}
		},
	})
}

func TestOptions(t *testing.T) {
	f := func(want string, kv ...string) {
		t.Helper()
		_, err := plugintest.TryInput(Def(), plugintest.Env(t), kv...)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: error\n%s\nwant\n%s", kv, got, want)
		}
	}
	f("", "path", "x", "parser_1", "p", "inotify_watcher", "off")
	f(`input tail: option "path" is missing`)
	f(`option "path" names no file`, "path", " , ")
	f(`option "refresh_interval": 0s is not a positive time`, "path", "x", "refresh_interval", "0")
	f(`option "rotate_wait": 0s is not a positive time`, "path", "x", "rotate_wait", "0")
	f(`option "buffer_max_size": 1000 is less than buffer_chunk_size, 2000`, "path", "x", "buffer_chunk_size", "2k", "buffer_max_size", "1k")
	f(`option "buffer_max_size": 2000000000 is more than 1073741824`, "path", "x", "buffer_max_size", "2G")
	f(`option "db.journal_mode": "X" is not one of WAL, DELETE, TRUNCATE, PERSIST, MEMORY, OFF`, "path", "x", "db.journal_mode", "x")
	f(`option "unicode.encoding": "utf-32" is not one of UTF-16LE, UTF-16BE, auto`, "path", "x", "unicode.encoding", "utf-32")
	f(`option "generic.encoding": "latin1" is not one of ShiftJIS, GB18030, GBK, UHC, Big5, Win866, Win874, Win1250, Win1251, Win1252, Win1253, Win1254, Win1255, Win1256`,
		"path", "x", "generic.encoding", "latin1")
	f(`options "unicode.encoding" and "generic.encoding" exclude each other`, "path", "x", "unicode.encoding", "auto", "generic.encoding", "sjis")
	f("", "path", "x", "multiline.parser", "cri, docker", "multiline.parser", "java")
	f(`option "multiline.parser": multiline parser "none" is not defined`, "path", "x", "multiline.parser", "cri,none")
	f("", "path", "x", "docker_mode", "on", "docker_mode_parser", "p") // which is logged only
	f(`option "parser_firstline": parser "p" is not defined`, "path", "x", "multiline", "on", "parser_firstline", "p")
	f(`option "multiline" needs parser_firstline`, "path", "x", "multiline", "on")
	f("option \"multiline\" needs parser_firstline\noptions \"multiline\" and \"docker_mode\" exclude each other", "path", "x", "multiline", "on", "docker_mode", "on")
}

func TestStartPosition(t *testing.T) {
	f := func(name string, want []string, kv ...string) {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.write("old.log", "1\n2\nunfin")
			r.start(append(kv, "path_key", "p", "offset_key", "o")...)
			r.append("old.log", "ished\n")
			r.em.Wait(t, 1)
			r.write("new.tmp", "3\n")
			r.rename("new.tmp", "new.log")
			r.settle()
			r.append("new.log", "4\n")
			r.want(want...)
		})
	}
	old := `{"p":"$/old.log","o":9,"log":"ished"}`
	f("from the end", []string{old, `{"p":"$/new.log","o":0,"log":"3"}`, `{"p":"$/new.log","o":2,"log":"4"}`}, "read_from_head", "off")
	f("new ones too", []string{old, `{"p":"$/new.log","o":2,"log":"4"}`}, "read_from_head", "off", "read_newly_discovered_files_from_head", "off")
}

func TestNameThatIsNotUTF8(t *testing.T) {
	r := newRig(t)
	r.env.Tag = "*"
	r.write("caf\xe9.log", "1\n")
	r.start("path_key", "p", "db", "$/pos.db")
	if tag := r.em.Wait(t, 1)[0].Tag; !strings.HasSuffix(tag, ".caf\xe9.log") {
		t.Errorf("tag %q", tag)
	}
	r.append("caf\xe9.log", "2\n")
	r.em.Wait(t, 2)
	r.stop()
	if rows := readRows(t, r.path("pos.db")); len(rows) != 1 || rows[0].name != r.path("caf\xe9.log") {
		t.Errorf("rows %+v", rows)
	}
}

func TestNewDirectory(t *testing.T) {
	bothWays(t, func(t *testing.T, r *rig, kv ...string) {
		r.start(append(kv, "path", "$/x/*.log,$/y/*/*.log")...)
		r.settle()
		r.must(os.MkdirAll(r.path("y/z"), 0o755))
		r.write("y/z/a.log", "1\n")
		r.lines("1")
		r.must(os.Mkdir(r.path("x"), 0o755))
		r.write("x/a.log", "2\n")
		r.lines("1", "2")
		r.must(os.RemoveAll(r.path("x")))
		r.must(os.Mkdir(r.path("x"), 0o755))
		r.write("x/b.log", "3\n")
		r.lines("1", "2", "3")
	})
}

// New files are seen without waiting for the next look, and are called as the
// path calls them.
func TestNewFileIsNotified(t *testing.T) {
	r := newRig(t)
	r.must(os.Mkdir(r.path("d"), 0o755))
	r.start("path", "$//d/./*.log", "path_key", "p", "refresh_interval", "1h", "progress_check_interval", "1h")
	r.write("d/x.txt", "no\n")
	r.write("d/a.log", "1\n")
	r.want(`{"p":"$//d/./a.log","log":"1"}`)
	r.append("d/a.log", "2\n")
	r.want(`{"p":"$//d/./a.log","log":"1"}`, `{"p":"$//d/./a.log","log":"2"}`)
	r.write("d/b.tmp", "3\n")
	r.rename("d/b.tmp", "d/b.log")
	r.em.Wait(t, 3)
}

func TestTags(t *testing.T) {
	r := newRig(t)
	r.env.Tag = "app.*.x"
	r.must(os.Mkdir(r.path("sub dir"), 0o755))
	r.write("sub dir/b-c:d.log", "x\n")
	r.start("path", "$/*/*.log")
	want := "app." + strings.ReplaceAll(r.dir[1:], "/", ".") + ".sub dir.b-c.d.log.x"
	if got := r.em.Wait(t, 1)[0].Tag; got != want {
		t.Errorf("tag %q, want %q", got, want)
	}
}

func TestTagger(t *testing.T) {
	f := func(tag, expr, path, want string) {
		t.Helper()
		env, log := plugintest.LoggedEnv(t)
		env.Tag = tag
		tagger := newTagger(&Config{TagRegex: expr}, env)
		got, err := tagger.of(path)
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != want {
			t.Errorf("tag %q, regex %q, path %q: %q, want %q; log: %s", tag, expr, path, got, want, log)
		}
	}
	f("plain", "", "/a/b", "plain")
	f("", "", "/a/b", "test.0")
	f("*", "", "/var/log/a.log", "var.log.a.log")
	f("k.*", "", "./log//a*b.log", "k.log.ab.log")
	f("k.*.*", "", "/a", "k.a")
	f("*", "", `C:\logs\a.log`, "C.logs.a.log")
	f("*.", "", "/a.", "a")
	const expr = `(?<svc>[a-z]+)_(?<env>[a-z]*)-(?<n>\d+)\.log$`
	f("<svc>.<env>.<n>.end", expr, "/x/web_prod-12.log", "web.prod.12.end")
	f("<svc>.<none>.<env>", expr, "/x/web_-12.log", "web._._")
	f("no groups.*", expr, "/x/web_-12.log", "no groups.*")
	f("<svc>", expr, "/x/odd.log", "error: the path does not match tag_regex")
	f("<svc", expr, "/x/web_-12.log", `error: the tag "<svc" has < without >`)
	f("a<b<svc>", expr, "/x/web_-12.log", `error: the tag "a<b<svc>" has < without >`)
	f("<svc>", "(", "/x/a", "<svc>")
}

func TestFileThatDoesNotMatchTagRegexIsNotRead(t *testing.T) {
	r := newRig(t)
	r.env.Tag = "<n>"
	r.write("odd.log", "x\n")
	r.write("f7.log", "y\n")
	r.start("tag_regex", `f(?<n>\d)\.log`)
	r.lines("y")
	if tag := r.em.Events()[0].Tag; tag != "7" {
		t.Errorf("tag %q", tag)
	}
	r.logged("does not match tag_regex")
}

func TestIgnoreOlder(t *testing.T) {
	r := newRig(t)
	old := time.Now().Add(-time.Hour)
	r.write("old.log", "1\n")
	r.must(os.Chtimes(r.path("old.log"), old, old))
	r.write("other.log", "1\n")
	r.must(os.Chtimes(r.path("other.log"), old, old))
	r.write("young.log", "2\n")
	r.start("ignore_older", "10m")
	r.lines("2")
	r.settle()
	// What is added to the file is read; a new file of the same name from its head.
	r.append("old.log", "3\n")
	r.lines("2", "3")
	r.must(os.Remove(r.path("other.log")))
	r.write("other.log", "4\n5\n")
	r.lines("2", "3", "4", "5")
}

func TestIgnoreActiveOlder(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "1\n")
	r.start("ignore_older", "10m", "ignore_active_older_files", "on", "db", "$/pos.db")
	r.lines("1")
	old := time.Now().Add(-time.Hour)
	r.must(os.Chtimes(r.path("a.log"), old, old))
	r.eventually("the file is closed", func() bool { return r.in.closed.Load() == 1 })
	r.settle()
	r.append("a.log", "2\n")
	r.lines("1", "2")
	r.stop()
	if rows := readRows(t, r.path("pos.db")); len(rows) != 1 || rows[0].offset != 4 {
		t.Errorf("rows %+v", rows)
	}
}

// A remembered inode that was given to another file is told by its first bytes.
func TestInodeIsUsedAgain(t *testing.T) {
	r := newRig(t)
	in := r.make()
	r.write("a.log", "the old content\n")
	f, err := os.Open(r.path("a.log"))
	r.must(err)
	st, id, err := statID(r.path("a.log"))
	r.must(err)
	in.keeper.remember(r.path("a.log"), id, st.Size(), false, f)
	f.Close()
	m := in.keeper.memos[r.path("a.log")]
	same := func() bool {
		f, err := os.Open(r.path("a.log"))
		r.must(err)
		defer f.Close()
		st, err := f.Stat()
		r.must(err)
		return m.sameAs(f, id, st.Size())
	}
	r.append("a.log", "more\n")
	if !same() {
		t.Error("a file that has grown counts as another one")
	}
	w, err := os.OpenFile(r.path("a.log"), os.O_WRONLY, 0)
	r.must(err)
	_, err = w.WriteString("new content, longer than the old\n")
	r.must(err)
	r.must(w.Close())
	if same() {
		t.Error("a file with other content counts as the same")
	}
}

func TestUnreadableFileIsTriedAgain(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "1\n")
	in := r.make()
	denied := true
	in.keeper.openFile = func(path string) (*os.File, error) {
		if denied {
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission}
		}
		return openFile(path)
	}
	in.keeper.scan(time.Now())
	r.logged("cannot open file")
	if n := plugintest.Rejected(r.env, "file_unreadable"); n != 1 {
		t.Errorf("%d files count as unreadable", n)
	}
	denied = false
	r.run = plugintest.Run(t, in, r.em)
	r.lines("1")
}

func TestExitOnEOF(t *testing.T) {
	r := newRig(t)
	r.write("a.log", strings.Repeat("x\n", 100_000))
	r.write("b.log", "1\n2\nunfinished")
	r.start("exit_on_eof", "on")
	if err := r.run.Wait(); err != plugin.ErrStop {
		t.Errorf("Run: %v", err)
	}
	if n := len(r.em.Events()); n != 100_002 {
		t.Errorf("%d events", n)
	}
}

func TestTimesRise(t *testing.T) {
	r := newRig(t)
	begin := time.Now().UnixNano()
	r.write("a.log", "1\n2\n")
	r.start()
	for _, e := range r.em.Wait(t, 2) {
		if e.Time < begin || e.Time > time.Now().UnixNano() {
			t.Errorf("time %d of a line", e.Time)
		}
	}
}

func TestMatch(t *testing.T) {
	f := func(pattern, name string, want bool) {
		t.Helper()
		if got := match(pattern, name, false); got != want {
			t.Errorf("match(%q, %q) = %v", pattern, name, got)
		}
	}
	f("", "", true)
	f("", "a", false)
	f("a", "a", true)
	f("a", "ab", false)
	f("*", "", true)
	f("*", "any/thing", true)
	f("*.log", "a.log", true)
	f("*.log", "a.log.1", false)
	f("a*b*c", "axxbyyc", true)
	f("a*b*c", "axxbyyd", false)
	f("**a", "bba", true)
	f("?", "a", true)
	f("?", "", false)
	f("a?c", "a/c", true)
	f("[abc]", "b", true)
	f("[a-c]x", "bx", true)
	f("[a-c]", "d", false)
	f("[!a-c]", "d", true)
	f("[^a-c]", "b", false)
	f("[]a]", "]", true)
	f("[!]a]", "]", false)
	f("[a-]", "-", true)
	f("[[:digit:]x]", "7", true)
	f("[[:digit:]x]", "x", true)
	f("[[:upper:]]", "a", false)
	f("[a", "[a", true)
	f("[a", "a", false)
	f(`\*`, "*", true)
	f(`\*`, "a", false)
	f(`[\]]`, "]", true)
	f(`a\`, `a\`, true)
	f(strings.Repeat("*a", 30)+"b", strings.Repeat("a", 300), false)
	if match("*", ".hidden", true) || !match(".h*", ".hidden", true) || match("?hidden", ".hidden", true) || match("[.]hidden", ".hidden", true) {
		t.Error("a dot at the start must be in the pattern as itself")
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("[a-z]*[!x]?", "abc.log")
	f.Add(`[\`, "x")
	f.Add("[[:alpha:]", "a")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		match(pattern, name, true)
		if match(pattern, name, false) && !match(pattern+"*", name+"x", false) && !strings.Contains(pattern, "[") && !strings.HasSuffix(pattern, `\`) {
			t.Errorf("%q matches %q but with a star not what is longer", pattern, name)
		}
		p := newPattern(pattern)
		p.find(name)
	})
}

func TestPatternFind(t *testing.T) {
	f := func(text, path, want string) {
		t.Helper()
		p := newPattern(text)
		got, ok := p.find(path)
		if !ok {
			got = "no"
		}
		if got != want {
			t.Errorf("%q: find(%q) = %q, want %q", text, path, got, want)
		}
	}
	f("/var/log/*.log", "/var/log/a.log", "/var/log/a.log")
	f("/var/log/*.log", "/var/log/sub/a.log", "no")
	f("/var/*/*.log", "/var/log/a.log", "/var/log/a.log")
	f("/var/log/*.log", "/var/log", "no")
	f("/var//log/./*.log", "/var/log/a.log", "/var//log/./a.log")
	f("./log/*", "log/a", "./log/a")
	f("log/*", "/log/a", "no")
	f("*.log", "a.log", "a.log")
	f("*.log", "x/a.log", "no")
	f("/*.log", "/.a.log", "no")
}

func Example_pattern() {
	p := newPattern("/etc/host[s]")
	paths, dirs, err := p.expand()
	fmt.Println(paths, dirs, err)
	// Output: [/etc/hosts] [/etc] <nil>
}
