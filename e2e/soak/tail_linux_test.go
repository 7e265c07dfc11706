package soak

import (
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

const followFiles = `
[SERVICE]
    Flush 0.1
    Grace 3
    scheduler.base 1
    scheduler.cap 1
    STORAGE
[INPUT]
    Name tail
    Path DIR/a.log,DIR/b.log*,DIR/c.log
    DB KEPT/offsets.db
    DB.Sync SYNC
    Read_from_Head on
    Refresh_Interval 1
    storage.type TYPE
[OUTPUT]
    Name http
    Match *
    Host HOST
    Port PORT
    Format json_lines
    Retry_Limit no_limits
`

// Whatever is written to a file arrives, however often the router is killed
// while files are written and rotated and the destination fails now and then.
func TestKillsWhileFilesAreFollowed(t *testing.T) {
	for _, mode := range []string{"memory", "filesystem"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			storage := ""
			kept := t.TempDir()
			if mode == "filesystem" {
				storage = "storage.path " + kept + "/chunks"
			}
			followAndKill(t, kills(10, 100), kept, func(r *router) { r.kill() }, "STORAGE", storage, "TYPE", mode, "SYNC", "normal")
		})
	}
}

// offsetsWritten is the time in which the router writes offsets, on a busy
// machine.
const offsetsWritten = 800 * time.Millisecond

// longestRun is the longest time between a start and a kill.
const longestRun = 1500 * time.Millisecond

// followAndKill runs the writers, kills the router n times by end, and checks
// what has arrived. kept is where the router keeps its own things.
func followAndKill(t *testing.T, n int, kept string, end func(*router), pairs ...string) {
	rnd := random(t)
	dir := t.TempDir()
	d := newDestination(t)
	r := newRouter(t, fill(followFiles, append(pairs, "DIR", dir, "KEPT", kept, "HOST", d.host(), "PORT", d.port())...))

	// A file that was made has a row in the database before its first line comes.
	made := func(line int) bool { return d.has("a", line) }
	// One that was truncated is known by its content, for which an offset in it must
	// have been written.
	arrived, sure := map[int]time.Time{}, -1
	written := func(line int) bool {
		if sure == line || !d.has("c", line) {
			return sure == line
		}
		if arrived[line].IsZero() {
			arrived[line] = time.Now()
		}
		if since := r.since.Load(); since > 0 && time.Since(time.Unix(0, since)) > offsetsWritten && time.Since(arrived[line]) > offsetsWritten {
			sure = line
		}
		return sure == line
	}
	writers := []*writer{
		{t: t, name: "a", file: filepath.Join(dir, "a.log"), rotate: byRename, begun: made},
		{t: t, name: "b", file: filepath.Join(dir, "b.log"), rotate: byRename},
		{t: t, name: "c", file: filepath.Join(dir, "c.log"), rotate: byCopy, begun: written},
	}
	stop := make(chan struct{})
	var writing sync.WaitGroup
	for i, w := range writers {
		rnd := rand.New(rand.NewPCG(rnd.Uint64(), uint64(i)))
		writing.Go(func() { w.run(rnd, stop) })
	}
	defer writing.Wait()
	stopped := sync.OnceFunc(func() { close(stop) })
	defer stopped()

	begin := time.Now()
	for range n {
		r.start()
		time.Sleep(between(rnd, 0, longestRun))
		end(r)
		if rnd.IntN(4) == 0 {
			time.Sleep(between(rnd, 0, 400*time.Millisecond))
		}
	}
	took := time.Since(begin)
	stopped()
	writing.Wait()

	r.start()
	complete := func() bool {
		for _, w := range writers {
			if len(d.missing(w.name, int(w.written.Load()))) > 0 {
				return false
			}
		}
		return true
	}
	if !d.wait(10*time.Second, complete) {
		for _, w := range writers {
			t.Errorf("of %d lines of %s there are missing %v", w.written.Load(), w.name, d.missing(w.name, int(w.written.Load())))
		}
		r.giveUp("lines are lost")
	}
	r.stop()
	report(t, d, n, took, writers)
}

// report tells and bounds how many records came again. After a kill these are
// the ones that were delivered, or stored as a chunk, after the last offset was
// written, which is done each second.
func report(t *testing.T, d *destination, n int, took time.Duration, writers []*writer) {
	total, rotations := 0, 0
	for _, w := range writers {
		total += int(w.written.Load())
		rotations += w.rotated
	}
	again := d.again()
	t.Logf("%d kills in %v: %d lines, %d rotations, %d requests; %d lines came again, %d of them as the destination gave no answer",
		n, took.Round(time.Second), total, rotations, d.requests.Load(), again, min(again, d.unanswered))
	// What is written in the time in which it is killed n times, for a second and a
	// half each, and once more for what a process reads anew.
	perSecond := float64(total) / took.Seconds()
	if most := d.unanswered + int(float64(n)*3*perSecond); again > most {
		t.Errorf("%d lines came again, more than %d", again, most)
	}
	for _, line := range d.bad {
		t.Errorf("this was never written: %.300q", line)
	}
}
