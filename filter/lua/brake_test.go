package lua

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	lua "github.com/yuin/gopher-lua"
	"go.uber.org/goleak"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestEndlessScriptsEndWithTheirInput(t *testing.T) {
	defer goleak.VerifyNone(t)
	long := strings.Repeat("a", 40_000)
	for name, body := range map[string]string{
		"loop":      `while true do end`,
		"pcall":     `while true do pcall(function() while true do end end) end`,
		"coroutine": `coroutine.wrap(function() while true do end end)()`,
		"resume":    `while true do coroutine.resume(coroutine.create(function() while true do end end)) end`,
		"pattern":   `string.find("` + long + `", ".-.-.-.-b")`,
	} {
		t.Run(name, func(t *testing.T) {
			env, log := plugintest.LoggedEnv(t)
			env.Service.Grace = 20 * time.Millisecond
			f := plugintest.NewFilter(t, Def(), env, "call", "f", "code",
				script(`if not r.ok then started() `+body+` end r.done = true`)).(*Filter)
			ctx, cancel := context.WithCancel(t.Context())
			f.machine.state.SetGlobal("started", f.machine.state.NewFunction(func(*lua.LState) int {
				cancel()
				return 0
			}))
			b := event.NewBatch("t")
			defer b.Free()
			b.Add(1)
			if err := f.Filter(ctx, b); err != nil {
				t.Error(err)
			}
			if len(b.Events) != 1 || b.Events[0].Len() != 0 {
				t.Error("the record did not stay as it was")
			}
			if !strings.Contains(log.String(), errStopped.Error()) {
				t.Error("the log does not tell that the script was stopped")
			}
			// Other inputs go on.
			if got := plugintest.Filtered(t, f, "t", plugintest.Event{Time: 1, Record: `{"ok":1}`})[0].Record; got != `{"ok":1,"done":true}` {
				t.Errorf("afterwards the script made %s", got)
			}
		})
	}
}

func TestBrakeWaitsForItsPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBrake()
		ctx, cancel := context.WithCancel(t.Context())
		release := b.watch(ctx, 3*time.Second)
		cancel()
		at := time.Now()
		<-b.Done()
		if d := time.Since(at); d != 3*time.Second {
			t.Errorf("the brake was pulled after %v", d)
		}
		release()
		select {
		case <-b.Done():
			t.Error("the brake is not ready for the next batch")
		default:
		}
		b.watch(context.Background(), 0)()
	})
}

func TestLayoutOfTables(t *testing.T) {
	ours, theirs := reflect.TypeFor[tableLayout](), reflect.TypeFor[lua.LTable]()
	if ours.NumField() != theirs.NumField() {
		t.Fatalf("a table has %d fields, expected %d", theirs.NumField(), ours.NumField())
	}
	for i := range ours.NumField() {
		a, b := ours.Field(i), theirs.Field(i)
		if !strings.EqualFold(a.Name, b.Name) || a.Type != b.Type || a.Offset != b.Offset {
			t.Errorf("field %d of a table is %s %v, expected %s %v", i, b.Name, b.Type, a.Name, a.Type)
		}
	}
}

// A script that remembers and forgets does not grow.
func TestDeletedKeysAreForgotten(t *testing.T) {
	f := plugintest.NewFilter(t, Def(), plugintest.Env(t), "call", "f", "code", `
		local seen, n = {}, 0
		local function other() return f, seen end
		keep = {seen = seen, me = other}
		function f(tag, ts, r)
			n = n + 1
			seen["k" .. n] = true
			seen["k" .. (n - 10)] = nil
			seen[-n] = n
			seen[-n + 10] = nil
			return 2, ts, r
		end`).(*Filter)
	for range 2*sweepEvery/1000 + 5 {
		b := event.NewBatch("t")
		for range 1000 {
			b.Add(1)
		}
		if err := f.Filter(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		b.Free()
	}
	seen := f.machine.state.GetGlobal("keep").(*lua.LTable).RawGetString("seen").(*lua.LTable)
	if n := len(layout(seen).keys); n > sweepEvery {
		t.Errorf("the table knows %d keys, most of which were deleted", n)
	}
	n := 0
	for k, v := seen.Next(lua.LNil); k != lua.LNil; k, v = seen.Next(k) {
		if v == lua.LNil {
			t.Errorf("key %v has no value", k)
		}
		n++
	}
	if n != 20 {
		t.Errorf("the table has %d keys, expected 20", n)
	}
}

func TestIterationsThatAddEnd(t *testing.T) {
	m := testMachine(t, `function f()
		local t = {a = 1, b = 2, [5] = 3}
		for k, v in pairs(t) do
			t[k .. "x"] = v
			for k2 in pairs({k, v}) do end
			if #tostring(k) > 100 then return "endless" end
		end
		local n = 0
		for k in pairs(t) do n = n + 1 end
		return n
	end`)
	if got := m.call(t, "f"); got != "6" {
		t.Errorf("got %s fields, expected 6", got)
	}
}
