package lua

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"sync"

	lua "github.com/yuin/gopher-lua"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/timefmt"
	"github.com/kagarilog/kagari/plugin"
)

// machine is a Lua state and what converts values for it. It belongs to one
// goroutine at a time.
type machine struct {
	state   *lua.LState
	log     *slog.Logger
	leftOut *plugin.Counter // values that cannot be in a record
	types   *types          // nil if there are none
	hint    int             // bytes that the record at hand may need

	brake   *brake
	walks   walks
	formats map[string]*timefmt.Format // of os.date
	random  *rand.Rand                 // of math.random
	concat  *lua.LFunction             // the operator ..
	exit    func(code int)             // what os.exit does, nil while the script is loaded

	untilSweep int // records until the next sweep

	null      lua.LValue  // what flb_null is when enabled
	lazyMeta  *lua.LTable // of records; scripts never see it
	mapMeta   *lua.LTable // of tables that were maps; scripts see a copy
	arrayMeta *lua.LTable // of tables that were arrays; the same
}

// Limits of the machine.
const (
	// maxCalls is how deeply functions of a script may call each other. LuaJIT
	// takes a few times as much, but gopher-lua needs long to describe it.
	maxCalls = 5000
	// stackStart and stackMax are the values that the stack has room for.
	stackStart, stackStep, stackMax = 4096, 4096, 1 << 20
	// maxArrayIndex is the largest key up to which gopher-lua makes a table an
	// array from 1 to there. By default it is so large that counting by a
	// number such as a customer's id takes a gigabyte.
	maxArrayIndex = 1 << 20
)

// setup changes the one limit that gopher-lua has for all states.
var setup = sync.OnceFunc(func() { lua.MaxArrayIndex = maxArrayIndex })

func newMachine(log *slog.Logger) *machine {
	setup()
	m := &machine{
		log:     log,
		leftOut: &plugin.Counter{},
		brake:   newBrake(),
		formats: map[string]*timefmt.Format{},
		random:  newRandom(0),
		state: lua.NewState(lua.Options{
			CallStackSize: maxCalls, MinimizeStackMemory: true,
			RegistrySize: stackStart, RegistryGrowStep: stackStep, RegistryMaxSize: stackMax,
		}),
	}
	m.state.SetContext(m.brake)
	m.null = m.state.NewUserData()
	m.mapMeta, m.arrayMeta = m.newMeta(typeMap), m.newMeta(typeArray)
	m.lazyMeta = m.newMeta(typeMap)
	m.lazyMeta.RawSetString("__index", m.state.NewFunction(m.index))
	m.lazyMeta.RawSetString("__newindex", m.state.NewFunction(m.newIndex))
	m.concat = m.state.NewFunction(concat)
	m.openLibrary()
	return m
}

// newMeta makes a metatable for tables of that type.
func (m *machine) newMeta(typ int) *lua.LTable {
	t := m.state.CreateTable(0, 1)
	t.RawSetString(typeField, lua.LNumber(typ))
	return t
}

// setEnv sets the global FLB_ENV, in which Fluent Bit gives the variables of its
// configuration; here it is those of the environment.
func (m *machine) setEnv() {
	vars := os.Environ()
	t := m.state.CreateTable(0, len(vars)+1)
	if name, err := os.Hostname(); err == nil {
		t.RawSetString("HOSTNAME", lua.LString(name))
	}
	for _, v := range vars {
		if name, val, ok := strings.Cut(v, "="); ok && val != "" {
			t.RawSetString(name, lua.LString(val))
		}
	}
	m.state.SetGlobal("FLB_ENV", t)
}

// scriptError makes the error of a call plain: without Go's type in front and
// the stack behind it.
func scriptError(err error) error {
	var api *lua.ApiError
	if !errors.As(err, &api) {
		return err
	}
	switch v := api.Object.(type) {
	case lua.LString:
		return errors.New(string(v))
	case lua.LNumber:
		return errors.New(v.String())
	case nil, *lua.LNilType:
		if api.Cause != nil {
			return api.Cause
		}
		return errors.New(err.Error())
	default:
		return fmt.Errorf("the error is a %s", v.Type())
	}
}

// record returns the record of e as a table.
func (m *machine) record(e *event.Event) lua.LValue {
	packed := e.Record()
	m.hint = len(packed) + 64
	return m.toLua(cloned(packed))
}

// metadata returns the metadata of e as a table.
func (m *machine) metadata(e *event.Event) lua.LValue {
	if len(e.Meta) == 0 {
		return m.newMap()
	}
	return m.toLua(cloned(e.Meta))
}

// cloned returns a copy of v with some room behind it, for the keys that a
// script adds.
func cloned(v event.Value) event.Value {
	return append(make(event.Value, 0, len(v)+spareBytes), v...)
}

const spareBytes = 40

func (m *machine) newMap() *lua.LTable {
	t := m.state.NewTable()
	t.Metatable = m.mapMeta
	return t
}
