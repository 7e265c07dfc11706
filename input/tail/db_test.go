package tail

import (
	"database/sql"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagarilog/kagari/plugin/plugintest"
)

// storedRow is a row of in_tail_files.
type storedRow struct {
	id, offset, inode, created, rotated, marker, markerSize int64
	name                                                    string
}

// openSQL opens a database as another process would.
func openSQL(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	return db
}

func readRows(t *testing.T, path string) (rows []storedRow) {
	t.Helper()
	db := openSQL(t, path)
	defer db.Close()
	res, err := db.Query("SELECT id, name, offset, inode, created, rotated, offset_marker, offset_marker_size FROM in_tail_files ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Close()
	for res.Next() {
		var r storedRow
		if err := res.Scan(&r.id, &r.name, &r.offset, &r.inode, &r.created, &r.rotated, &r.marker, &r.markerSize); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, r)
	}
	return rows
}

func execSQL(t *testing.T, path string, statements ...string) {
	t.Helper()
	db := openSQL(t, path)
	defer db.Close()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

func inodeOf(t *testing.T, path string) int64 {
	t.Helper()
	_, id, err := statID(path)
	if err != nil {
		t.Fatal(err)
	}
	return int64(id.inode)
}

// The marker is what Fluent Bit 5.1.1 stored for the same content; the others
// are test vectors of XXH3.
func TestMarkerHash(t *testing.T) {
	f := func(content string, want int64) {
		t.Helper()
		m := markerOf([]byte(content))
		if got := m.hash(); got != want {
			t.Errorf("hash of %q is %d, want %d", content, got, want)
		}
	}
	f("", 0)
	f("a\nb\r\n\r\n{\"t\":\"x\"}\n", -3550493356149128684)
	text := make([]byte, 32)
	for i := range text {
		text[i] = byte(i*37 + 11)
	}
	for n, want := range map[int]int64{
		1:  5350621376133947991,
		2:  6276380411984095675,
		3:  5787434222265441294,
		4:  4569053481933687505,
		5:  -8387334824107825931,
		8:  -7786407029334595983,
		9:  410669025747389870,
		12: 9026997740520272543,
		16: 3333606979071008306,
		17: -717106533246416739,
		24: -2592998595676877629,
		31: -6706413167557408880,
		32: 7370251699274313670,
	} {
		f(string(text[:n]), want)
	}
	f("not counted"+string(text), 7370251699274313670)
}

func TestDBContinues(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "1\n2\n")
	r.start("db", "$/pos.db")
	r.lines("1", "2")
	r.stop()
	rows := readRows(t, r.path("pos.db"))
	m := markerOf([]byte("1\n2\n"))
	if len(rows) != 1 || rows[0].name != r.path("a.log") || rows[0].offset != 4 || rows[0].inode != inodeOf(t, r.path("a.log")) ||
		rows[0].rotated != 0 || rows[0].marker != m.hash() || rows[0].markerSize != 4 || time.Since(time.Unix(rows[0].created, 0)) > time.Hour {
		t.Errorf("rows %+v", rows)
	}
	r.append("a.log", "3\nunfin")
	r.newEnv()
	r.start("db", "$/pos.db")
	r.lines("1", "2", "3")
	r.stop()
	r.append("a.log", "ished\n")
	r.start("db", "$/pos.db", "read_from_head", "off")
	r.lines("1", "2", "3", "unfinished")
}

// A database of Fluent Bit's: the statement is its own.
func TestDBOfFluentBit(t *testing.T) {
	const fluentBit = `CREATE TABLE in_tail_files (  id      INTEGER PRIMARY KEY,  name    TEXT NOT NULL,  offset  INTEGER,  inode   INTEGER,` +
		`  created INTEGER,  rotated INTEGER DEFAULT 0,  offset_marker INTEGER DEFAULT 0,  offset_marker_size INTEGER DEFAULT 0)`
	const older = `CREATE TABLE IF NOT EXISTS in_tail_files (  id      INTEGER PRIMARY KEY,  name    TEXT NOT NULL,  offset  INTEGER,` +
		`  inode   INTEGER,  created INTEGER,  rotated INTEGER DEFAULT 0)`
	const content = "a\nb\r\n\r\n{\"t\":\"x\"}\n"
	f := func(name, schema, columns, values string, want ...string) {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.write("a.log", content)
			inode := digits64(inodeOf(t, r.path("a.log")))
			replace := strings.NewReplacer("INODE", inode, "DIR", r.dir)
			execSQL(t, r.path("pos.db"), schema, replace.Replace("INSERT INTO in_tail_files (name, inode, offset, created"+columns+") VALUES ('DIR/a.log', INODE, "+values+")"),
				replace.Replace("INSERT INTO in_tail_files (name, inode, offset, created) VALUES ('/gone', 1, 5, 0)"))
			r.append("a.log", "new\n")
			r.start("db", "$/pos.db", "read_from_head", "off")
			r.lines(want...)
			r.stop()
			rows := readRows(t, r.path("pos.db"))
			m := markerOf([]byte(content + "new\n"))
			if len(rows) != 1 || rows[0].id != 1 || rows[0].offset != 21 || rows[0].markerSize != 21 || rows[0].marker != m.hash() {
				t.Errorf("rows %+v", rows)
			}
		})
	}
	f("current", fluentBit, ", offset_marker, offset_marker_size", "17, 0, -3550493356149128684, 17", "new")
	f("without a marker", fluentBit, "", "17, 0", "new")
	f("older", older, "", "17, 0", "new")
	f("in the middle", older, "", "2, 0", "b", "\r", `{"t":"x"}`, "new")
	f("at the head", older, "", "0, 0", "a", "b", "\r", `{"t":"x"}`, "new")
	// The inode belongs to another file now.
	f("another marker", fluentBit, ", offset_marker, offset_marker_size", "17, 0, 12345, 17", "a", "b", "\r", `{"t":"x"}`, "new")
	f("another marker size", fluentBit, ", offset_marker, offset_marker_size", "17, 0, -3550493356149128684, 16", "a", "b", "\r", `{"t":"x"}`, "new")
	f("larger than the file", older, "", "1000, 0", "a", "b", "\r", `{"t":"x"}`, "new")
}

func digits64(i int64) string {
	if i < 10 {
		return string(rune('0' + i))
	}
	return digits64(i/10) + string(rune('0'+i%10))
}

func TestDBCompareFilename(t *testing.T) {
	f := func(compare string, want ...string) {
		t.Run(compare, func(t *testing.T) {
			r := newRig(t)
			r.write("a.log", "1\n")
			r.start("db", "$/pos.db")
			r.lines("1")
			r.stop()
			r.rename("a.log", "b.log")
			r.append("b.log", "2\n")
			r.start("db", "$/pos.db", "db.compare_filename", compare)
			r.lines(want...)
			r.stop()
			if rows := readRows(t, r.path("pos.db")); len(rows) != 1 || rows[0].offset != 4 {
				t.Errorf("rows %+v", rows)
			}
		})
	}
	f("off", "1", "2")
	f("on", "1", "1", "2")
}

func TestDBAfterRotation(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "1\n")
	r.start("db", "$/pos.db", "rotate_wait", "500ms")
	r.lines("1")
	r.rename("a.log", "a.old")
	r.write("a.log", "2\n")
	r.lines("1", "2")
	r.eventually("the row is renamed", func() bool {
		rows := readRows(t, r.path("pos.db"))
		return len(rows) == 2 && rows[0].name == r.path("a.old") && rows[0].rotated == 1 && rows[1].name == r.path("a.log") && rows[1].rotated == 0
	})
	r.eventually("the row is deleted", func() bool {
		rows := readRows(t, r.path("pos.db"))
		return len(rows) == 1 && rows[0].name == r.path("a.log") && rows[0].offset == 2
	})
}

func TestDBAfterTruncation(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "1\n2\n")
	r.start("db", "$/pos.db")
	r.lines("1", "2")
	r.must(os.Truncate(r.path("a.log"), 0))
	r.eventually("the offset is 0", func() bool { rows := readRows(t, r.path("pos.db")); return len(rows) == 1 && rows[0].offset == 0 })
	r.append("a.log", "3\n")
	r.lines("1", "2", "3")
	r.eventually("the offset is 2", func() bool { return readRows(t, r.path("pos.db"))[0].offset == 2 })
}

// The stored offset is that of the last line in front of which all are
// acknowledged, whatever becomes of the process.
func TestDBStoresWhatIsAcknowledged(t *testing.T) {
	r := newRig(t)
	release := r.em.HoldAcks()
	r.write("a.log", "1\n")
	r.start("db", "$/pos.db")
	r.lines("1")
	r.append("a.log", "2\n")
	r.lines("1", "2")
	r.settle()
	if rows := readRows(t, r.path("pos.db")); len(rows) != 1 || rows[0].offset != 0 {
		t.Errorf("before any ack: rows %+v", rows)
	}
	release()
	r.eventually("the offset is stored", func() bool { return readRows(t, r.path("pos.db"))[0].offset == 4 })
}

func TestDBStoresAcksAfterRun(t *testing.T) {
	r := newRig(t)
	release := r.em.HoldAcks()
	r.write("a.log", "1\n")
	r.start("db", "$/pos.db")
	r.lines("1")
	r.must(r.run.Stop())
	release()
	r.must(r.in.Close())
	if rows := readRows(t, r.path("pos.db")); len(rows) != 1 || rows[0].offset != 2 {
		t.Errorf("rows %+v", rows)
	}
	r.must(r.in.Close())
}

func TestLedger(t *testing.T) {
	at := func(n int64) *mark { return &mark{offset: n} }
	l := &ledger{}
	l.start(*at(5))
	expect := func(offset int64, changed bool) {
		t.Helper()
		if m, c := l.take(); m.offset != offset || c != changed {
			t.Errorf("stored offset %d, new %v; want %d, %v", m.offset, c, offset, changed)
		}
	}
	expect(5, true)
	expect(5, false)
	a, b, c := l.begin(at(10)), l.begin(at(20)), l.begin(at(30))
	b.release()
	expect(5, false)
	a.release()
	expect(20, true)
	l.skip(*at(35))
	expect(20, false)
	c.release()
	expect(35, true)
	l.skip(*at(40))
	expect(40, true)
	l.again()
	expect(40, true)
	// A cut line ends where it began until its end is found.
	d := l.begin(nil)
	d.release()
	expect(40, true)
	// What was not taken is as if it had not been.
	e := l.begin(at(50))
	l.abort(e)
	if l.end().offset != 40 || !l.settled() {
		t.Error("a batch that was not taken is waited for")
	}
	f, g := l.begin(at(50)), l.begin(at(60))
	l.abort(g)
	if l.end().offset != 50 {
		t.Errorf("the end is %d", l.end().offset)
	}
	// After a truncation the old batches do not count.
	l.start(mark{})
	f.release()
	expect(0, true)
	if !l.settled() {
		t.Error("batches of the truncated file are waited for")
	}
}

func TestDBErrors(t *testing.T) {
	f := func(want string, kv ...string) {
		t.Helper()
		r := newRig(t)
		r.must(os.Mkdir(r.path("dir.db"), 0o755))
		r.write("junk.db", strings.Repeat("this is no database ", 100))
		in := r.make(kv...)
		err := in.Start(t.Context())
		if err == nil {
			t.Fatalf("%q: no error", kv)
		}
		if got := strings.ReplaceAll(err.Error(), r.dir, "$"); !strings.Contains(got, want) {
			t.Errorf("%q: error %s, want %s", kv, got, want)
		}
		if err := in.Run(t.Context(), r.em); err == nil {
			t.Error("Run does not return the error of Start")
		}
		in.Close()
	}
	f(`open offsets database "$/none/pos.db": unable to open database file`, "db", "$/none/pos.db")
	f(`open offsets database "$/dir.db": unable to open database file`, "db", "$/dir.db")
	f(`open offsets database "$/junk.db": file is not a database`, "db", "$/junk.db")
}

func TestDBLockedByAnother(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "1\n")
	first := r.make("db", "$/pos.db", "db.locking", "on")
	r.must(first.Start(t.Context()))
	second := r.make("db", "$/pos.db")
	err := second.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "another process is using it") {
		t.Errorf("error %v", err)
	}
	r.must(first.Close())
	r.must(second.Close())
}

// While somebody else has locked the database, reading goes on and the offsets
// are stored later.
func TestDBLockedForAWhile(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "1\n")
	r.start("db", "$/pos.db")
	r.lines("1")
	r.eventually("the offset is stored", func() bool { return readRows(t, r.path("pos.db"))[0].offset == 2 })
	db := openSQL(t, r.path("pos.db"))
	_, err := db.Exec("BEGIN IMMEDIATE")
	r.must(err)
	r.append("a.log", "2\n")
	r.lines("1", "2")
	r.logged("cannot store offsets")
	_, err = db.Exec("ROLLBACK")
	r.must(err)
	r.eventually("the offset is stored", func() bool { return readRows(t, r.path("pos.db"))[0].offset == 4 })
}

func TestDBRowDeletedByAnother(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "1\n")
	r.start("db", "$/pos.db")
	r.lines("1")
	r.eventually("the offset is stored", func() bool { return readRows(t, r.path("pos.db"))[0].offset == 2 })
	execSQL(t, r.path("pos.db"), "DELETE FROM in_tail_files")
	r.append("a.log", "2\n")
	r.lines("1", "2")
	r.eventually("the row is back", func() bool { rows := readRows(t, r.path("pos.db")); return len(rows) == 1 && rows[0].offset == 4 })
}

func TestDBOptions(t *testing.T) {
	r := newRig(t)
	r.write("a b%20?#.log", "1\n")
	r.start("db", "$/po s%20?#.db", "db.sync", "sometimes", "db.journal_mode", "delete")
	r.lines("1")
	r.logged(`option \"db.sync\" is ignored`)
	r.stop()
	if _, err := os.Stat(r.path("po s%20?#.db")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(r.path("po s%20?#.db-wal")); err == nil {
		t.Error("there is a write-ahead log with db.journal_mode delete")
	}
}

// Offsets of files that cannot be seen because a directory cannot be read are
// not deleted.
func TestDBKeepsRowsAfterABadScan(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "1\n")
	r.start("db", "$/pos.db")
	r.lines("1")
	r.stop()
	in := r.make("db", "$/pos.db")
	in.keeper.openFile = func(string) (*os.File, error) { return nil, os.ErrPermission }
	r.must(in.Start(t.Context()))
	in.keeper.openFile = openFile
	r.append("a.log", "2\n")
	r.run = plugintest.Run(t, in, r.em)
	r.lines("1", "2")
	r.stop()
	if rows := readRows(t, r.path("pos.db")); len(rows) != 1 || rows[0].offset != 4 || rows[0].id != 1 {
		t.Errorf("rows %+v", rows)
	}
}

// Files that were rotated while nothing ran are read to their end, and the new
// ones from their head, without Read_From_Head, too.
func TestDBRotationWhileDown(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "1\n")
	r.start("db", "$/pos.db", "path_key", "p")
	r.want(`{"p":"$/a.log","log":"1"}`)
	r.stop()
	r.append("a.log", "2\n")
	r.rename("a.log", "a.log.1")
	r.write("a.log", "3\n")
	r.write("other.txt", "no\n")
	r.newEnv()
	r.start("db", "$/pos.db", "path_key", "p", "read_from_head", "off")
	r.em.Wait(t, 3)
	records := r.em.Records()
	slices.Sort(records)
	for i, want := range []string{"1", "2", "3"} {
		if records[i] != `{"p":"`+r.path("a.log")+`","log":"`+want+`"}` {
			t.Errorf("records %q", records)
		}
	}
	r.eventually("the old file is closed and forgotten", func() bool {
		rows := readRows(t, r.path("pos.db"))
		return r.in.closed.Load() == 1 && len(rows) == 1 && rows[0].name == r.path("a.log") && rows[0].offset == 2
	})
}

// An inode that was given to another file in the same directory is no rotated
// file.
func TestDBInodeUsedAgainInTheSameDirectory(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "1\n")
	r.start("db", "$/pos.db")
	r.lines("1")
	r.stop()
	r.rename("a.log", "b.txt")
	w, err := os.OpenFile(r.path("b.txt"), os.O_WRONLY, 0)
	r.must(err)
	_, err = w.WriteString("quite another text\n")
	r.must(err)
	r.must(w.Close())
	r.start("db", "$/pos.db")
	r.settle()
	r.lines("1")
	r.stop()
	if rows := readRows(t, r.path("pos.db")); len(rows) != 0 {
		t.Errorf("rows %+v", rows)
	}
}

// In the journal modes of old a reader can hold up a commit.
func TestDBReadByAnother(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "1\n")
	r.start("db", "$/pos.db", "db.journal_mode", "DELETE")
	r.lines("1")
	r.eventually("the offset is stored", func() bool { return readRows(t, r.path("pos.db"))[0].offset == 2 })
	db := openSQL(t, r.path("pos.db"))
	tx, err := db.Begin()
	r.must(err)
	var n int
	r.must(tx.QueryRow("SELECT count(*) FROM in_tail_files").Scan(&n))
	r.append("a.log", "2\n")
	r.lines("1", "2")
	r.logged("cannot store offsets")
	r.must(tx.Rollback())
	r.eventually("the offset is stored", func() bool { return readRows(t, r.path("pos.db"))[0].offset == 4 })
}

// A process that dies while it still reads rotated files leaves them to the
// next one, which reads the rest, under the path of before.
func TestDBRotatedFilesAfterAKill(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "1\n")
	r.start("db", "$/pos.db", "path_key", "p", "rotate_wait", "1h")
	r.want(`{"p":"$/a.log","log":"1"}`)
	r.eventually("the offset is stored", func() bool { return readRows(t, r.path("pos.db"))[0].offset == 2 })
	release := r.em.HoldAcks()
	defer release()
	r.append("a.log", "2\n")
	r.rename("a.log", "a.log.1")
	r.write("a.log", "3\n")
	r.em.Wait(t, 3)
	r.eventually("the row is renamed", func() bool {
		rows := readRows(t, r.path("pos.db"))
		return len(rows) == 2 && rows[0].name == r.path("a.log.1") && rows[0].offset == 2
	})
	r.die()
	// The next rotation happens while nothing runs.
	r.rename("a.log.1", "a.log.2")
	r.rename("a.log", "a.log.1")
	r.newEnv()
	r.em = &plugintest.Emitter{}
	r.start("db", "$/pos.db", "path_key", "p")
	r.em.Wait(t, 2)
	records := r.em.Records()
	slices.Sort(records)
	if want := []string{`{"p":"` + r.path("a.log") + `","log":"2"}`, `{"p":"` + r.path("a.log") + `","log":"3"}`}; !slices.Equal(records, want) {
		t.Errorf("records %q, want %q", records, want)
	}
	r.eventually("the files are closed and forgotten", func() bool {
		return r.in.closed.Load() == 2 && len(readRows(t, r.path("pos.db"))) == 0
	})
}

// The row of a file is there before any of its lines is emitted: after a kill
// the file is found by it, whatever it is called then.
func TestDBHasARowBeforeLinesAreEmitted(t *testing.T) {
	bothWays(t, func(t *testing.T, r *rig, kv ...string) {
		r.write("a.log", "1\n")
		in := r.make(append(kv, "db", "$/pos.db")...)
		in.keeper.commit = time.Hour
		r.run = plugintest.Run(t, in, r.em)
		r.lines("1")
		for i := 2; i < 5; i++ {
			r.rename("a.log", fmt.Sprintf("a.log.%d", i))
			r.write("a.log", fmt.Sprintf("%d\n", i))
			r.em.Wait(t, i)
			inode, found := inodeOf(t, r.path("a.log")), false
			for _, row := range readRows(t, r.path("pos.db")) {
				found = found || row.inode == inode
			}
			if !found {
				t.Errorf("file %d has no row", i)
			}
		}
	})
}

// A database that somebody deletes is made anew, with the offsets of all files
// and of those that were rotated.
func TestDBDeletedWhileInUse(t *testing.T) {
	for _, mode := range []string{"WAL", "DELETE"} {
		t.Run(mode, func(t *testing.T) {
			r := newRig(t)
			r.write("a.log", "1\n")
			r.start("db", "$/pos.db", "db.journal_mode", mode, "rotate_wait", "1h")
			r.lines("1")
			r.rename("a.log", "a.log.1")
			r.write("a.log", "2\n")
			r.lines("1", "2")
			r.eventually("the offset is stored", func() bool {
				rows := readRows(t, r.path("pos.db"))
				return len(rows) == 2 && rows[1].offset == 2
			})
			for _, suffix := range []string{"", "-wal", "-shm"} {
				if err := os.Remove(r.path("pos.db" + suffix)); err != nil && !os.IsNotExist(err) {
					t.Fatal(err)
				}
			}
			r.append("a.log", "3\n")
			r.lines("1", "2", "3")
			r.logged("made anew")
			r.append("a.log.1", "late\n")
			r.lines("1", "2", "3", "late")
			release := r.em.HoldAcks()
			defer release()
			r.append("a.log.1", "later\n")
			r.em.Wait(t, 5)
			r.settle()
			r.die()
			r.append("a.log", "4\n")
			r.restart("4", "later")
		})
	}
}
