package tail

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/parser"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

// rig is a tail input in a directory of its own. Times are short: files that
// are not watched are polled, and offsets stored, each few milliseconds.
type rig struct {
	*testing.T
	dir string
	env *plugin.Env
	log *plugintest.Log
	in  *Input
	em  *plugintest.Emitter
	run *plugintest.Running
}

func newRig(t *testing.T) *rig {
	plugintest.NoLeaks(t)
	r := &rig{T: t, dir: t.TempDir(), em: &plugintest.Emitter{}}
	r.newEnv()
	return r
}

func (r *rig) newEnv() {
	r.env, r.log = plugintest.LoggedEnv(r.T)
	r.env.Tag = "t"
	r.newParsers()
}

func (r *rig) newParsers() {
	r.env.Parser = func(name string) (plugin.Parser, error) {
		if name == "missing" {
			return nil, fmt.Errorf("there is no parser %q", name)
		}
		p, ps := parser.New(name, plugintest.Props("format", "json", "time_key", "time", "time_format", "%s"), option.Pos{})
		if p == nil {
			return nil, ps.Err()
		}
		return p, nil
	}
}

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

// make makes the input without running it. Values may hold $ for the
// directory; it reads *.log from the head unless told otherwise.
func (r *rig) make(kv ...string) *Input {
	r.Helper()
	defaults := []string{"path", "$/*.log", "read_from_head", "on", "refresh_interval", "30ms", "watcher_interval", "30ms",
		"progress_check_interval", "30ms", "rotate_wait", "60ms"}
	for i := 0; i < len(defaults); i += 2 {
		if !slices.Contains(kv, defaults[i]) {
			kv = append(kv, defaults[i], defaults[i+1])
		}
	}
	kv = slices.Clone(kv)
	for i := 1; i < len(kv); i += 2 {
		kv[i] = strings.ReplaceAll(kv[i], "$", r.dir)
	}
	r.in = plugintest.NewInput(r.T, Def(), r.env, kv...).(*Input)
	r.in.keeper.poll, r.in.keeper.commit = 10*time.Millisecond, 20*time.Millisecond
	return r.in
}

// start makes and runs the input.
func (r *rig) start(kv ...string) {
	r.Helper()
	r.run = plugintest.Run(r.T, r.make(kv...), r.em)
}

// stop ends the input and closes it.
func (r *rig) stop() {
	r.Helper()
	if err := r.run.Stop(); err != nil {
		r.Errorf("Run: %v", err)
	}
	if err := r.in.Close(); err != nil {
		r.Errorf("Close: %v", err)
	}
}

// die ends the input as a kill does: what was not stored so far is not stored at
// all.
func (r *rig) die() {
	r.Helper()
	if err := r.run.Stop(); err != nil {
		r.Errorf("Run: %v", err)
	}
	r.must(r.in.keeper.db.close())
	r.in.keeper.db = nil
	r.must(r.in.Close())
}

func (r *rig) write(name, text string) {
	r.Helper()
	r.must(os.WriteFile(r.path(name), []byte(text), 0o644))
}

func (r *rig) append(name, text string) {
	r.Helper()
	f, err := os.OpenFile(r.path(name), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	r.must(err)
	_, err = f.WriteString(text)
	r.must(err)
	r.must(f.Close())
}

func (r *rig) rename(from, to string) {
	r.Helper()
	r.must(os.Rename(r.path(from), r.path(to)))
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// want waits for the records, as JSON with $ for the directory, and checks that
// they are those, in order.
func (r *rig) want(records ...string) {
	r.Helper()
	r.em.Wait(r.T, len(records))
	r.exactly(records...)
}

// lines is want for records of nothing but the line.
func (r *rig) lines(lines ...string) {
	r.Helper()
	var records []string
	for _, l := range lines {
		records = append(records, `{"log":`+plugintest.JSON(event.AppendString(nil, l))+`}`)
	}
	r.want(records...)
}

func (r *rig) exactly(records ...string) {
	r.Helper()
	r.same(r.records(), records)
}

func (r *rig) exactlyInAnyOrder(records ...string) {
	r.Helper()
	r.same(slices.Sorted(slices.Values(r.records())), slices.Sorted(slices.Values(records)))
}

// records returns what was emitted, with $ for the directory.
func (r *rig) records() []string {
	got := r.em.Records()
	for i := range got {
		got[i] = strings.ReplaceAll(got[i], r.dir, "$")
	}
	return got
}

func (r *rig) same(got, records []string) {
	r.Helper()
	if !slices.Equal(got, records) {
		r.Fatalf("records:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(records, "\n"))
	}
}

// eventually waits until ok.
func (r *rig) eventually(what string, ok func() bool) {
	r.Helper()
	for end := time.Now().Add(plugintest.Patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			r.Fatalf("never: %s", what)
		}
	}
}

// logged waits until something was logged.
func (r *rig) logged(text string) {
	r.Helper()
	r.eventually("the log says "+text, func() bool { return strings.Contains(r.log.String(), text) })
}

// settle waits until the input had time to notice what it should ignore: until
// it has scanned and looked at everything a few times.
func (r *rig) settle() { time.Sleep(150 * time.Millisecond) }
