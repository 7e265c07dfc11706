package tail

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// keeper knows which files there are. All its fields belong to the goroutine of
// run, or to whoever calls start and close while that does not exist.
type keeper struct {
	in       *Input
	cfg      *Config
	log      *slog.Logger
	patterns []pattern
	exclude  []string

	files   map[fileID]*file
	byName  map[string]*file   // by cleaned current name
	polled  map[*file]struct{} // whose changes nobody notifies
	leaving map[*file]struct{} // rotated away, removed or given up
	fresh   []*file            // new ones, which the reader gets when they have a row
	memos   map[string]memo    // by path, of files that are not open
	// awaited is names that a rotated file has left, at which a new one is looked
	// for more often than at every refresh.
	awaited map[string]awaited
	scans   int // so far
	first   bool

	// replaced is files at the start that are not what the database says of them.
	replaced map[*file]dbRow

	asked    chan func() // by the reader, see ask
	openFile func(path string) (*os.File, error)
	watch    *watcher
	db       *database
	changes  []dbChange // besides offsets

	poll   time.Duration // between two looks at files that are not watched
	commit time.Duration // between two writes to the database
	next   struct{ poll, check, scan, commit time.Time }
}

// awaited is a name without a file.
type awaited struct {
	before *file // which had the name
	until  time.Time
}

const (
	defaultPoll = 250 * time.Millisecond
	// defaultCommit bounds what is read again after a kill. Where writing takes
	// long, offsets are written less often, see commitShare.
	defaultCommit = 200 * time.Millisecond
	// commitShare is how many times as long as it takes to write offsets is waited
	// before they are written again, at most longestCommit.
	commitShare   = 20
	longestCommit = time.Second
	// pace is how long notifications wait in the kernel after some were handled.
	// The first is handled at once, and a file that is written to all the time
	// costs a read each pace, however many writes there are.
	pace = 20 * time.Millisecond
)

func newKeeper(in *Input) *keeper {
	k := &keeper{
		in: in, cfg: &in.cfg, log: in.log,
		files: map[fileID]*file{}, byName: map[string]*file{}, polled: map[*file]struct{}{}, leaving: map[*file]struct{}{}, memos: map[string]memo{}, awaited: map[string]awaited{},
		asked: make(chan func()), openFile: openFile, poll: defaultPoll, commit: defaultCommit,
	}
	for _, p := range in.cfg.Path {
		k.patterns = append(k.patterns, newPattern(p))
	}
	k.exclude = in.cfg.ExcludePath
	k.watch = newWatcher(k)
	return k
}

// start opens the database and looks for files for the first time.
func (k *keeper) start(now time.Time) error {
	if k.cfg.DB != "" {
		if syncModes[strings.ToLower(k.cfg.DBSync)] == "" {
			k.log.Error("option \"db.sync\" is ignored: it is not one of extra, full, normal, off", "value", k.cfg.DBSync)
		}
		var err error
		if k.db, err = openDatabase(k.cfg); err != nil {
			return err
		}
	}
	k.first = true
	clean := k.scan(now)
	k.first = false
	if k.db != nil {
		k.findRotated(now)
		k.findCopies(now)
		if clean {
			k.deleteStale()
		}
	}
	k.admit()
	return nil
}

// deleteStale forgets the offsets of files that are gone. It is not called if
// something could not be read, as that may hide files.
func (k *keeper) deleteStale() {
	known := map[uint64]bool{}
	for id := range k.files {
		known[id.inode] = true
	}
	n, err := k.db.deleteOthers(known)
	if err != nil {
		k.log.Error("cannot delete the offsets of files that are gone", "db", k.cfg.DB, "error", err)
	} else if n > 0 {
		k.log.Info("deleted the offsets of files that are gone", "db", k.cfg.DB, "count", n)
	}
}

// run watches until ctx ends.
func (k *keeper) run(ctx context.Context) {
	k.watch.open()
	defer k.watch.close()
	now := time.Now()
	k.scan(now)
	for _, f := range k.files {
		k.watch.add(f)
		k.push(f)
	}
	k.next.poll, k.next.check = now.Add(k.poll), now.Add(k.cfg.checkInterval())
	k.next.scan, k.next.commit = now.Add(k.cfg.RefreshInterval), now.Add(k.commit)

	timer := time.NewTimer(0)
	defer timer.Stop()
	paced := false
	for {
		events := k.watch.events
		if paced {
			events = nil
		}
		select {
		case <-ctx.Done():
			k.store()
			return
		case ev := <-events:
			k.notified(ev)
			paced = true
		case do := <-k.asked:
			do()
		case err := <-k.watch.errors:
			k.watchError(err)
		case <-timer.C:
			paced = false
		}
		now := time.Now()
		k.tick(now)
		wait := k.due().Sub(now)
		if paced {
			wait = min(wait, pace)
		}
		timer.Reset(max(wait, time.Millisecond))
	}
}

// tick does what is due.
func (k *keeper) tick(now time.Time) {
	if !now.Before(k.next.check) {
		for _, f := range k.files {
			k.look(f, now)
			k.lookName(f, now)
			if f.failed.Load() {
				k.leaving[f] = struct{}{}
			}
		}
		k.lookAwaited(now)
		k.next.check = now.Add(k.cfg.checkInterval())
		k.next.poll = now.Add(k.poll)
	} else if !now.Before(k.next.poll) {
		for f := range k.polled {
			k.look(f, now)
		}
		k.next.poll = now.Add(k.poll)
	}
	if !now.Before(k.next.scan) {
		k.scan(now)
		k.next.scan = now.Add(k.cfg.RefreshInterval)
	}
	for f := range k.leaving {
		k.leave(f, now)
	}
	k.admit()
	if !now.Before(k.next.commit) {
		k.store()
		k.next.commit = now.Add(max(k.commit, min(commitShare*time.Since(now), longestCommit)))
	}
}

// due returns when tick has something to do.
func (k *keeper) due() time.Time {
	due := earliest(k.next.check, k.next.scan)
	if k.db != nil {
		due = earliest(due, k.next.commit)
	}
	if len(k.polled) > 0 {
		due = earliest(due, k.next.poll)
	}
	return due
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// notified handles an event and those that follow it closely.
func (k *keeper) notified(ev fsnotify.Event) {
	const most, patience = 4096, 3
	now := time.Now()
	k.event(ev, now)
	for n, idle := 0, 0; n < most && idle < patience; n++ {
		select {
		case ev := <-k.watch.events:
			k.event(ev, now)
			idle = 0
		default:
			// The watcher hands over one event after the other.
			idle++
			runtime.Gosched()
		}
	}
}

// event handles one notification.
func (k *keeper) event(ev fsnotify.Event, now time.Time) {
	name := filepath.Clean(ev.Name)
	f := k.byName[name]
	if f != nil && ev.Has(fsnotify.Write) {
		k.push(f)
	}
	if !ev.Has(fsnotify.Create | fsnotify.Remove | fsnotify.Rename | fsnotify.Chmod) {
		return
	}
	if ev.Has(fsnotify.Remove | fsnotify.Rename) {
		k.watch.gone(ev.Name)
	}
	if f != nil {
		k.look(f, now)
		k.lookName(f, now)
	}
	if k.byName[name] != nil {
		return
	}
	if path, ok := k.wanted(name); ok {
		k.probe(path, now)
	} else if _, id, err := statID(name); err == nil && k.files[id] != nil {
		k.appeared(k.files[id], name, now)
	}
}

// wanted tells whether a cleaned path is one of those to be read, and how it is
// to be called.
func (k *keeper) wanted(name string) (path string, ok bool) {
	for i := range k.patterns {
		if path, ok := k.patterns[i].find(name); ok && !k.excluded(path) {
			return path, true
		}
	}
	return "", false
}

func (k *keeper) excluded(path string) bool {
	for _, p := range k.exclude {
		if match(p, path, false) {
			return true
		}
	}
	return false
}

// admit gives new files to the reader. They have a row in the database by then:
// when the process dies, and the file gets another name before the next one
// looks, it is found by its row.
func (k *keeper) admit() {
	if len(k.fresh) == 0 {
		return
	}
	k.store()
	for _, f := range k.fresh {
		f.fresh = false
		k.push(f)
	}
	clear(k.fresh)
	k.fresh = k.fresh[:0]
}

// push gives f to the reader, as it has changed.
func (k *keeper) push(f *file) {
	if !f.fresh {
		k.in.queue.push(f)
	}
}

// watchError handles an error of the watcher: notifications may be missing.
func (k *keeper) watchError(err error) {
	if errors.Is(err, fsnotify.ErrEventOverflow) {
		k.log.Warn("notifications of changes were lost; looking at all files")
	} else {
		k.log.Warn("cannot watch files well; looking at all of them", "error", err)
	}
	k.next.check, k.next.scan = time.Time{}, time.Time{}
}

// store writes to the database what has changed. What cannot be written is
// tried again the next time.
func (k *keeper) store() {
	if k.db == nil {
		return
	}
	if k.db.gone() {
		k.renewDatabase()
	}
	var changes []dbChange
	for _, f := range k.files {
		if m, changed := f.ledger.take(); changed {
			changes = append(changes, dbChange{file: f, offset: true, at: m})
		}
	}
	// Offsets come first, so that a file that is new has a row to be renamed.
	changes = append(changes, k.changes...)
	if len(changes) == 0 {
		return
	}
	if err := k.db.apply(changes); err != nil {
		k.log.Error("cannot store offsets, trying again", "error", err)
		for _, c := range changes {
			if c.offset {
				c.file.ledger.again()
			}
		}
		return
	}
	k.changes = nil
}

// renewDatabase makes the database anew, which somebody has deleted, with all
// that is known.
func (k *keeper) renewDatabase() {
	db, err := openDatabase(k.cfg)
	if err != nil {
		k.log.Error("the offsets database was deleted and cannot be made anew, trying again", "db", k.cfg.DB, "error", err)
		return
	}
	k.log.Warn("the offsets database was deleted or replaced; it is made anew", "db", k.cfg.DB)
	if err := k.db.close(); err != nil {
		k.log.Debug("cannot close the deleted database", "error", err)
	}
	k.db, k.changes = db, nil
	for _, f := range k.files {
		f.row = 0
		f.ledger.again()
		if !f.left.IsZero() {
			k.changes = append(k.changes, dbChange{file: f, name: f.name})
		}
	}
}

// close stores what was acknowledged and closes everything.
func (k *keeper) close() error {
	k.store()
	for id, f := range k.files {
		f.f.Close()
		k.in.closed.Add(1)
		delete(k.files, id)
	}
	if k.db == nil {
		return nil
	}
	err := k.db.close()
	k.db = nil
	return err
}
