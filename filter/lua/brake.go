package lua

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// brake ends a script that does not end by itself, so that it cannot hold up
// the end of the process. It is the context of a Lua state, which looks at it
// before every instruction; that costs a twentieth of the time of a small
// script, and a fifth of one that calculates.
type brake struct{ done atomic.Pointer[chan struct{}] }

var _ context.Context = (*brake)(nil)

var errStopped = errors.New("the script did not end in time and was stopped")

func newBrake() *brake {
	b := &brake{}
	b.renew()
	return b
}

// renew makes the brake ready for the next batch after it was, or may have been,
// pulled.
func (b *brake) renew() {
	done := make(chan struct{})
	b.done.Store(&done)
}

// watch has the script stopped some time after ctx has ended, until release is
// called.
func (b *brake) watch(ctx context.Context, patience time.Duration) (release func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	done := *b.done.Load()
	stop := context.AfterFunc(ctx, func() {
		time.AfterFunc(patience, func() { close(done) })
	})
	return func() {
		if !stop() {
			b.renew()
		}
	}
}

// Done is closed when the script has to stop.
func (b *brake) Done() <-chan struct{} { return *b.done.Load() }

// Err is the error that the script stops with.
func (b *brake) Err() error { return errStopped }

// Deadline says that there is none.
func (b *brake) Deadline() (time.Time, bool) { return time.Time{}, false }

// Value has nothing.
func (b *brake) Value(any) any { return nil }

// AfterFunc keeps package context from starting a goroutine for every coroutine
// of a script. Coroutines get the brake itself, see brakeCoroutines.
func (b *brake) AfterFunc(func()) (stop func() bool) { return func() bool { return true } }

// brakeCoroutines makes the brake work in coroutines, too.
func (m *machine) brakeCoroutines() {
	t := m.library("coroutine")
	after := func(name string, thread func(v lua.LValue) lua.LValue) {
		fn, ok := t.RawGetString(name).(*lua.LFunction)
		if !ok {
			panic("BUG: gopher-lua has no coroutine." + name)
		}
		inner := fn.GFunction
		fn.GFunction = func(l *lua.LState) int {
			n := inner(l)
			if co, ok := thread(l.Get(-1)).(*lua.LState); ok {
				co.SetContext(m.brake)
			}
			return n
		}
	}
	after("create", func(v lua.LValue) lua.LValue { return v })
	after("wrap", func(v lua.LValue) lua.LValue {
		if fn, ok := v.(*lua.LFunction); ok && len(fn.Upvalues) > 0 {
			return fn.Upvalues[0].Value()
		}
		return lua.LNil
	})
}
