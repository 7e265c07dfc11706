// Package lua is the filter lua: it passes every record to a function of a Lua
// script, which may change, drop or split it.
//
// The script runs in gopher-lua, a Lua 5.1 machine in Go, made to behave like
// the LuaJIT of Fluent Bit where scripts can tell: see library.go. One [Filter]
// has one Lua state and runs one batch at a time, so that a script may count or
// remember in its globals.
//
// A record goes to the script as a table whose fields stay msgpack until the
// script asks for them (record.go), so that a script pays for what it touches.
// to_lua.go converts values one way, to_msgpack.go the other.
package lua

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	lua "github.com/yuin/gopher-lua"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

//go:embed doc.md
var doc string

// Def describes the filter.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindFilter,
		Name:    "lua",
		Summary: "Passes records through a Lua script",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the filter.
type Config struct {
	Script, Code, Call string
	IntKeys, ArrayKeys string
	Protected          bool
	TimeAsTable        bool
	EnableNull         bool
}

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	return []option.Field{
		option.String(&c.Script, "script", "",
			"The path of the script. If there is no such file, the path is taken from the folder of the main configuration file."),
		option.String(&c.Code, "code", "", "The script itself; it wins over `script`."),
		option.String(&c.Call, "call", "",
			"The name of the global function that is called with every record."),
		option.String(&c.IntKeys, "type_int_key", "",
			"Keys, separated by blanks, whose numbers become integers when they come from the script."),
		option.String(&c.ArrayKeys, "type_array_key", "",
			"Keys, separated by blanks, whose tables become arrays when they come from the script, also empty ones."),
		option.Bool(&c.Protected, "protected_mode", true,
			"Whether a failing script leaves the records as they are. The script cannot end the process when it is off either."),
		option.Bool(&c.TimeAsTable, "time_as_table", false,
			"Whether the time is a table with the fields `sec` and `nsec` instead of a number of seconds, in both directions."),
		option.Bool(&c.EnableNull, "enable_flb_null", false,
			"Whether nulls are given to the script as the value of the global variable `flb_null` instead of nil, so that they are not lost."),
	}
}

// New loads and runs the script and makes the filter. The error tells what is
// wrong with the script, and where.
func (c *Config) New(env *plugin.Env) (plugin.Filter, error) {
	if c.Call == "" {
		return nil, errors.New("there is no call; it names the function of the script to call")
	}
	source, err := c.source(env.Dir)
	if err != nil {
		return nil, err
	}
	m := newMachine(env.Log)
	m.leftOut = env.Stats.Counter(leftOutMetric, "Values of a script that cannot be in a record and were left out.", "", "")
	m.types = parseTypes(c.IntKeys, c.ArrayKeys)
	m.setEnv()
	if c.EnableNull {
		m.state.SetGlobal(nullName, m.null)
	}
	if err := m.load(source); err != nil {
		return nil, err
	}
	fn, ok := m.state.G.Global.RawGetString(c.Call).(*lua.LFunction)
	if !ok {
		return nil, option.At("call", fmt.Errorf("the script %s has no global function %q, which call names", source.name, c.Call))
	}
	f := &Filter{
		machine: m, call: c.Call, timeAsTable: c.TimeAsTable, log: env.Log, patience: env.Service.Grace / 2,
		failed: env.Stats.Counter(failedMetric, "Batches that a script left as they were because it failed.", "", ""),
	}
	m.exit = env.Stop
	// Fluent Bit looks at the parameters once, at the start.
	f.metadata = !fn.IsG && fn.Proto.NumParameters >= 5
	return f, nil
}

// failedMetric counts batches, leftOutMetric values.
const (
	failedMetric  = "kagari_lua_failed_batches_total"
	leftOutMetric = "kagari_lua_left_out_values_total"
)

// Filter runs a script.
type Filter struct {
	call        string
	timeAsTable bool
	metadata    bool // the function has five parameters, metadata among them
	log         *slog.Logger
	failed      *plugin.Counter

	// patience is how long a script may go on after its input has ended.
	patience time.Duration

	mu      sync.Mutex
	machine *machine
	tag     lua.LString   // the tag of the last batch, boxed in tagArg
	tagArg  lua.LValue    // keeps a conversion per batch from being one per record
	staged  []event.Event // what becomes of the batch at hand
}

var _ plugin.Filter = (*Filter)(nil)

// Filter passes all events of b to the script. When it fails for one of them,
// none is changed, as in Fluent Bit; the error is logged and counted.
func (f *Filter) Filter(ctx context.Context, b *event.Batch) error {
	if b.Signal != event.Logs {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.unstage()
	defer f.machine.brake.watch(ctx, f.patience)()
	if f.tagArg == nil || string(f.tag) != b.Tag {
		f.tag = lua.LString(b.Tag)
		f.tagArg = f.tag
	}
	f.machine.sweep(len(b.Events))
	for i := range b.Events {
		if err := f.event(&b.Events[i]); err != nil {
			f.failed.Add(1)
			f.log.Error("the script failed, and the records of the batch stay as they are",
				"function", f.call, "error", err, "records", len(b.Events))
			return nil
		}
	}
	b.Events = append(b.Events[:0], f.staged...)
	return nil
}

func (f *Filter) unstage() {
	f.machine.walks.clear()
	clear(f.staged)
	f.staged = f.staged[:0]
	if cap(f.staged) > maxStaged {
		f.staged = nil
	}
}

// maxStaged is how many events the room that is kept for them may hold.
const maxStaged = 1 << 14

// event calls the function for e and stages what it returns.
func (f *Filter) event(e *event.Event) error {
	code, when, meta, record, err := f.run(e)
	if err != nil {
		return err
	}
	switch n := int32(toInteger(code)); n {
	case -1:
		return nil
	case 1, 2:
		ns := e.Time
		if n == 1 {
			if ns, err = f.time(when, e.Time); err != nil {
				return err
			}
		}
		return f.stageResult(e, ns, meta, record)
	case 0:
	default:
		f.log.Error("the script returned an unknown code, and the record stays as it is",
			"function", f.call, "code", n, "known", "-1, 0, 1, 2")
	}
	f.staged = append(f.staged, *e)
	return nil
}

// run calls the function with the record of e and returns its results; meta is
// nil if the function has nothing to do with metadata.
func (f *Filter) run(e *event.Event) (code, when, meta, record lua.LValue, err error) {
	m, l := f.machine, f.machine.state
	l.Push(l.G.Global.RawGetString(f.call)) // Metamethods must not fail out here.
	l.Push(f.tagArg)
	l.Push(f.timeArg(e.Time))
	args, rets := 3, 3
	if f.metadata {
		args, rets = 5, 4
		l.Push(m.newMap()) // Attributes of groups of records; there are no groups here.
		l.Push(m.metadata(e))
	}
	l.Push(m.record(e))
	if err := l.PCall(args, rets, nil); err != nil {
		return nil, nil, nil, nil, scriptError(err)
	}
	code, when, record = l.Get(-rets), l.Get(1-rets), l.Get(-1)
	if f.metadata {
		meta = l.Get(-2)
	}
	l.Pop(rets)
	return code, when, meta, record, nil
}

// timeArg is the time as the script sees it.
func (f *Filter) timeArg(ns int64) lua.LValue {
	sec, nsec := splitTime(ns)
	if !f.timeAsTable {
		return lua.LNumber(float64(sec) + float64(nsec)/1e9)
	}
	t := f.machine.state.CreateTable(0, 2)
	t.RawSetString("sec", lua.LNumber(sec))
	t.RawSetString("nsec", lua.LNumber(nsec))
	return t
}

// time reads a time that the script returned for a record of the time old.
func (f *Filter) time(v lua.LValue, old int64) (int64, error) {
	if f.timeAsTable {
		t, ok := v.(*lua.LTable)
		if !ok {
			f.log.Error("the script returned a time that is no table with sec and nsec, and the record keeps its time", "function", f.call)
			return old, nil
		}
		m := f.machine
		return joinTime(toInteger(m.field(t, "sec")), toInteger(m.field(t, "nsec")))
	}
	// What is no number counts as 0, as in Fluent Bit.
	d := float64(lua.LVAsNumber(v))
	if !(d >= 0 && d < maxTime) {
		return 0, fmt.Errorf("the script returned %v as time, which is out of range", d)
	}
	sec := int64(d)
	return joinTime(sec, int64((d-float64(sec))*1e9))
}

// maxTime is the seconds that fit an int64 in nanoseconds.
const maxTime = math.MaxInt64 / 1_000_000_000

func splitTime(ns int64) (sec, nsec int64) {
	sec, nsec = ns/1e9, ns%1e9
	if nsec < 0 {
		return sec - 1, nsec + 1e9
	}
	return sec, nsec
}

func joinTime(sec, nsec int64) (int64, error) {
	if sec < 0 || sec >= maxTime || nsec < 0 || nsec >= 1e9 {
		return 0, fmt.Errorf("the script returned the time %d seconds and %d nanoseconds, which is out of range", sec, nsec)
	}
	return sec*1e9 + nsec, nil
}

// stageResult stages what a script returned for e: a table for one record or an
// array of tables for several.
func (f *Filter) stageResult(e *event.Event, ns int64, meta, record lua.LValue) error {
	m, b := f.machine, e.Batch()
	newMeta := e.Meta
	if t, ok := meta.(*lua.LTable); ok {
		out, err := m.appendValue(b.Arena(len(e.Meta)+64), t, 0)
		if err != nil {
			return fmt.Errorf("convert the returned metadata: %w", err)
		}
		newMeta = b.SetArena(out)
	}
	out, err := m.appendValue(b.Arena(m.hint), record, 0)
	if err != nil {
		return fmt.Errorf("convert the returned record: %w", err)
	}
	result := b.SetArena(out)
	switch result.Kind() {
	case event.KindMap:
		f.stage(e, ns, single(newMeta), result)
		return nil
	case event.KindArray:
		for item := range result.Items() {
			if item.Kind() != event.KindMap {
				return fmt.Errorf("the script returned an array that holds a %s where every element has to be a record", kindName(item))
			}
		}
		each := newMeta.Kind() == event.KindArray && newMeta.Len() == result.Len()
		metas := newMeta
		if each {
			_, metas, _ = event.ReadArrayHeader(newMeta)
		}
		for item := range result.Items() {
			one := single(newMeta)
			if each {
				one, metas, _ = event.Next(metas)
				one = single(one)
			}
			f.stage(e, ns, one, item)
		}
		return nil
	}
	return fmt.Errorf("the script returned a %s where a record is expected, a table", kindName(result))
}

// single is the metadata for one record; it is always a map.
func single(meta event.Value) event.Value {
	if meta.Kind() != event.KindMap || meta.Len() == 0 {
		return nil
	}
	return meta
}

func kindName(v event.Value) string {
	switch k := v.Kind(); k {
	case event.KindInt, event.KindUint, event.KindFloat:
		return "number"
	case event.KindMap:
		return "table"
	default:
		return k.String()
	}
}

// stage stages a copy of e with another time, metadata and record, which
// belong to the arena of its batch.
func (f *Filter) stage(e *event.Event, ns int64, meta, record event.Value) {
	n := *e
	n.Time, n.Meta = ns, meta
	n.SetRecord(record)
	f.staged = append(f.staged, n)
}
