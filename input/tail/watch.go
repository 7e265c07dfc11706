package tail

import (
	"errors"
	"io/fs"
	"path/filepath"
	"syscall"

	"github.com/fsnotify/fsnotify"
)

// watcher asks the system to notify changes: of the directories in which files
// are or may appear, and of files behind symbolic links. What it cannot watch
// is polled. Notifications are not buffered here: they wait in the kernel, which
// merges equal ones.
type watcher struct {
	keeper  *keeper
	start   func() (*fsnotify.Watcher, error)
	fs      *fsnotify.Watcher // nil while polling
	events  chan fsnotify.Event
	errors  chan error
	watched map[string]bool
	warned  bool
}

func newWatcher(k *keeper) *watcher {
	return &watcher{keeper: k, start: fsnotify.NewWatcher}
}

// open begins to watch, if the options allow it and the system can.
func (w *watcher) open() {
	w.watched = map[string]bool{}
	if !w.keeper.cfg.InotifyWatcher {
		return
	}
	fs, err := w.start()
	if err != nil {
		w.warn(err)
		return
	}
	w.fs, w.events, w.errors = fs, fs.Events, fs.Errors
}

func (w *watcher) close() {
	if w.fs != nil {
		w.fs.Close()
	}
	w.fs, w.events, w.errors, w.watched = nil, nil, nil, nil
}

func (w *watcher) warn(err error) {
	if w.warned {
		return
	}
	w.warned = true
	hint := "changes are noticed by polling instead"
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EMFILE) {
		hint = "changes are noticed by polling instead; the limits are fs.inotify.max_user_watches and max_user_instances"
	}
	w.keeper.log.Warn("cannot watch all files: "+hint, "error", err)
}

// watch watches a path. It tells whether the path is watched, and whether that
// is new.
func (w *watcher) watch(path string) (ok, fresh bool) {
	if w.fs == nil {
		return false, false
	}
	if w.watched[path] {
		return true, false
	}
	if err := w.fs.Add(path); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			w.warn(err)
		}
		return false, false
	}
	w.watched[path] = true
	return true, true
}

// addDirs watches directories in which files may appear and tells whether one
// of them is new.
func (w *watcher) addDirs(dirs []string) (fresh bool) {
	for _, dir := range dirs {
		_, f := w.watch(filepath.Clean(dir))
		fresh = fresh || f
	}
	return fresh
}

// add watches a file.
func (w *watcher) add(f *file) {
	if !f.left.IsZero() {
		return
	}
	ok, _ := w.watch(filepath.Dir(f.name))
	if f.link && ok {
		ok, _ = w.watch(filepath.Clean(f.name))
	}
	if ok {
		delete(w.keeper.polled, f)
	} else {
		w.keeper.polled[f] = struct{}{}
	}
}

// remove ends the watching of a file itself.
func (w *watcher) remove(f *file) {
	if name := filepath.Clean(f.name); f.link && w.watched[name] {
		// It may have ended by itself with the file.
		_ = w.fs.Remove(name)
		delete(w.watched, name)
	}
}

// gone notes that a path that may have been watched was renamed or removed.
func (w *watcher) gone(path string) { delete(w.watched, filepath.Clean(path)) }
