package lua

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

// FuzzValues sends any map to a script that looks at nothing, at one that looks
// at every top-level field, and at one that looks at everything, which must all
// give the same but for arrays with nulls and numbers that lose digits.
func FuzzValues(f *testing.F) {
	for _, s := range []string{
		`{}`, benchRecord, `{"a":1,"a":2,"n":null,"l":[null,1,null],"f":4.0,"u":18446744073709551615,"m":{"x":{"y":[{}]}}}`,
	} {
		f.Add([]byte(plugintest.Value(f, s)))
	}
	f.Add([]byte{0x84, 0xc4, 1, 'b', 0xc7, 1, 5, 7, 0x05, 0xa1, 'v', 0xc0, 0x01, 0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 1, 0x02})
	f.Add([]byte{0x81, 0x90, 0x80})
	m := testMachine(f, `
		function shallow(r) for k, v in pairs(r) do r[k] = v end return r end
		function deep(r)
			if type(r) ~= "table" then return r end
			for k, v in pairs(r) do r[k] = deep(v) end
			return r
		end`)
	f.Fuzz(func(t *testing.T, data []byte) {
		v, _, err := event.Next(data)
		if err != nil || v.Kind() != event.KindMap {
			return // No record.
		}
		send := func(fn string) event.Value {
			t.Helper()
			var r lua.LValue = m.toLua(cloned(v))
			if fn != "" {
				m.state.Push(m.state.GetGlobal(fn))
				m.state.Push(r)
				if err := m.state.PCall(1, 1, nil); err != nil {
					t.Fatal(scriptError(err))
				}
				r = m.state.Get(-1)
				m.state.Pop(1)
			}
			out, err := m.appendValue(nil, r, 0)
			if errors.Is(err, errDepth) {
				return nil // Refused, which is right for what is nested that deeply.
			}
			if err != nil {
				t.Fatal(err)
			}
			back, rest, err := event.Next(out)
			if err != nil || len(rest) > 0 {
				t.Fatalf("%x came back as %x, which is no value: %v", v, out, err)
			}
			return back
		}
		untouched := send("")
		if untouched == nil {
			return
		}
		again := event.Value(nil)
		if back, err := m.appendValue(nil, m.toLua(cloned(untouched)), 0); err == nil {
			again = back
		}
		if !bytes.Equal(untouched, again) {
			t.Errorf("%x comes back as %x, but that as %x", v, untouched, again)
		}
		for _, fn := range []string{"shallow", "deep"} {
			got := send(fn)
			if got != nil && exact(v) && !bytes.Equal(got, untouched) {
				t.Errorf("%x comes back as %x after %s, expected %x", v, got, fn, untouched)
			}
		}
	})
}

// exact tells whether v has nothing that changes when a script looks at it:
// nulls and wide integers in arrays, keys that are no strings, and NaN.
func exact(v event.Value) bool {
	switch v.Kind() {
	case event.KindMap:
		for k, val := range v.Pairs() {
			if k.Kind() != event.KindString || !exact(val) {
				return false
			}
		}
		return simpleKeys(v)
	case event.KindArray:
		for item := range v.Items() {
			if item.IsNil() || !exact(item) {
				return false
			}
		}
	case event.KindInt, event.KindUint:
		f, _ := v.Float()
		i, ok := v.Int()
		return ok && f > -1<<53 && f < 1<<53 && bytes.Equal(event.AppendInt(nil, i), v)
	}
	return true
}

// FuzzPattern finds no pattern that breaks the matcher.
func FuzzPattern(f *testing.F) {
	for _, p := range []string{`^(%w+)%s*=%s*(.-)$`, `%b()`, `%f[%a]%a+`, `[^%]a-]`, `(a*(b)%1)`, `()`, `%`, `[`, `[%`, `(((`, `%1`} {
		f.Add("key = value (x)", p)
	}
	m := testMachine(f, `function find(s, p)
		local ok, from, to = pcall(string.find, s, p)
		if ok and from and (from < 1 or to > #s or from > to + 1) then error("a match lies outside of the text") end
		pcall(string.match, s, p)
		pcall(string.gsub, s, p, "%0%1")
		pcall(function() for w in string.gmatch(s, p) do end end)
	end`)
	f.Fuzz(func(t *testing.T, s, p string) {
		if len(s) > 30 || len(p) > 12 {
			return // Long ones take long in LuaJIT as well.
		}
		m.call(t, "find", s, p)
	})
}

// FuzzSource finds no script that breaks what happens before it is compiled.
func FuzzSource(f *testing.F) {
	for _, s := range []string{script(`r.a = "x" .. r.b .. 1`), `"\x41\z  \u{20}"`, `--[[`, `[=[`, `'\`} {
		f.Add(s)
	}
	m := testMachine(f, "")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := m.compile(m.state, text, "fuzz"); err != nil {
			if s := (source{text: text}).explain(err); s == nil {
				t.Error("an error is not explained")
			}
		}
	})
}

func TestKeysOfAnyLengthAreFound(t *testing.T) {
	m := testMachine(t, "")
	for _, n := range []int{0, 1, 31, 32, 255, 256, 65535, 65536} {
		name := strings.Repeat("k", n)
		rec := event.AppendMapHeader(nil, 2)
		rec = event.AppendInt(event.AppendString(rec, name), 7)
		rec = event.AppendInt(event.AppendString(rec, name+"kk"), 8)
		// A short key may come with a long header, too.
		rec[0]++
		rec = append(rec, 0xdb, 0, 0, 0, 3, 'x', 'y', 'z', 9)
		r := m.newRecord(rec)
		for key, want := range map[string]lua.LValue{name: lua.LNumber(7), name + "kk": lua.LNumber(8), "xyz": lua.LNumber(9), name + "k": lua.LNil} {
			if got := r.get(lua.LString(key)); got != want {
				t.Errorf("a key of %d bytes gives %v, expected %v", len(key), got, want)
			}
		}
	}
}
