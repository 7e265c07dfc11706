package lua

import (
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"runtime/metrics"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// openBase replaces basic functions and those of the libraries table and math
// that differ from LuaJIT's.
func (m *machine) openBase() {
	g := m.state.G.Global
	m.replace(g, map[string]lua.LGFunction{
		"tonumber":       baseToNumber,
		"tostring":       baseToString,
		"print":          basePrint,
		"error":          baseError,
		"xpcall":         baseXpcall,
		"collectgarbage": baseCollect,
		"gcinfo":         func(l *lua.LState) int { l.Push(lua.LNumber(memoryKB())); return 1 },
		"load":           m.baseLoad,
		"loadstring":     m.baseLoad,
		"loadfile":       m.baseLoadFile,
		"dofile":         m.baseDoFile,
	})
	g.RawSetString("_printregs", lua.LNil)
	g.RawSetString("_GOPHER_LUA_VERSION", lua.LNil)
	table := m.library("table")
	m.replace(table, map[string]lua.LGFunction{
		"concat":   tableConcat,
		"insert":   tableInsert,
		"remove":   tableRemove,
		"maxn":     tableMaxn,
		"move":     tableMove,
		"foreach":  m.tableForeach,
		"foreachi": tableForeachi,
	})
	table.RawSetString("unpack", g.RawGetString("unpack"))
	mathematics := m.library("math")
	m.replace(mathematics, map[string]lua.LGFunction{
		"log":    mathLog,
		"modf":   mathModf,
		"random": m.mathRandom,
		"randomseed": func(l *lua.LState) int {
			m.random = newRandom(math.Float64bits(number(l, 1)))
			return 0
		},
	})
	mathematics.RawSetString("huge", lua.LNumber(math.Inf(1)))
}

func baseToString(l *lua.LState) int {
	l.Push(textOf(l, l.CheckAny(1)))
	return 1
}

// textOf is tostring.
func textOf(l *lua.LState, v lua.LValue) lua.LValue {
	if n, ok := v.(lua.LNumber); ok {
		return lua.LString(formatNumber(float64(n)))
	}
	return l.ToStringMeta(v)
}

// basePrint writes one line at once, so that lines of several filters do not
// mix.
func basePrint(l *lua.LState) int {
	var line []byte
	for i := range l.GetTop() {
		if i > 0 {
			line = append(line, '\t')
		}
		line = append(line, textOf(l, l.Get(i+1)).String()...)
	}
	// As in C, nobody learns that standard output is gone.
	_, _ = os.Stdout.Write(append(line, '\n'))
	return 0
}

func baseError(l *lua.LState) int {
	v, level := l.Get(1), optInt(l, 2, 1)
	if _, ok := v.(lua.LString); !ok {
		level = 0
	}
	l.Error(v, level)
	return 0
}

// baseXpcall passes arguments on, which Lua 5.1 does not.
func baseXpcall(l *lua.LState) int {
	fn, handler, top := l.CheckFunction(1), l.CheckFunction(2), l.GetTop()
	l.Push(fn)
	for i := 3; i <= top; i++ {
		l.Push(l.Get(i))
	}
	if err := l.PCall(max(top-2, 0), lua.MultRet, handler); err != nil {
		l.Push(lua.LFalse)
		var api *lua.ApiError
		if errors.As(err, &api) && api.Object != nil {
			l.Push(api.Object)
		} else {
			l.Push(lua.LString(err.Error()))
		}
		return 2
	}
	l.Insert(lua.LTrue, top+1)
	return l.GetTop() - top
}

// baseCollect is collectgarbage. Memory is Go's business, which a script that
// calls this for every record must not slow down.
func baseCollect(l *lua.LState) int {
	switch l.OptString(1, "collect") {
	case "count":
		l.Push(lua.LNumber(memoryKB()))
	case "step":
		l.Push(lua.LTrue)
	case "isrunning":
		l.Push(lua.LTrue)
	default:
		l.Push(lua.LNumber(0))
	}
	return 1
}

// memoryKB is the memory that the whole process has in use, in units of 1024
// bytes.
func memoryKB() float64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return float64(sample[0].Value.Uint64()) / 1024
}

// baseLoad is load and loadstring, which both take a string or a function that
// gives its parts.
func (m *machine) baseLoad(l *lua.LState) int {
	var text string
	switch v := l.Get(1).(type) {
	case *lua.LFunction:
		var b strings.Builder
		for {
			l.Push(v)
			l.Call(0, 1)
			part, ok := l.Get(-1).(lua.LString)
			l.Pop(1)
			if !ok || part == "" {
				break
			}
			b.WriteString(string(part))
		}
		text = b.String()
	default:
		text = argString(l, 1)
	}
	name := l.OptString(2, text)
	fn := m.pushCompiled(l, text, chunkName(name))
	if env, ok := l.Get(4).(*lua.LTable); ok && fn != nil {
		fn.Env = env
	}
	if fn == nil {
		return 2
	}
	return 1
}

// chunkName is how messages name a chunk: a name with = or @ in front as it is,
// else the first line of a text.
func chunkName(name string) string {
	if strings.HasPrefix(name, "=") || strings.HasPrefix(name, "@") {
		return name[1:]
	}
	const most = 40
	if line, _, more := strings.Cut(name, "\n"); more || len(line) > most {
		name = line[:min(len(line), most)] + "..."
	}
	return `[string "` + name + `"]`
}

// pushCompiled pushes the function, or nil and a message; then it returns nil.
func (m *machine) pushCompiled(l *lua.LState, text, chunk string) *lua.LFunction {
	fn, err := m.compile(l, text, chunk)
	if err != nil {
		l.Push(lua.LNil)
		l.Push(lua.LString(chunkError(chunk, err)))
		return nil
	}
	l.Push(fn)
	return fn
}

func (m *machine) baseLoadFile(l *lua.LState) int {
	name := l.CheckString(1)
	text, err := os.ReadFile(name)
	if err != nil {
		l.Push(lua.LNil)
		l.Push(lua.LString("cannot open " + name))
		return 2
	}
	if m.pushCompiled(l, string(withoutHead(text)), name) == nil {
		return 2
	}
	return 1
}

func (m *machine) baseDoFile(l *lua.LState) int {
	top := l.GetTop()
	if m.baseLoadFile(l) == 2 {
		l.Error(l.Get(-1), 0)
	}
	l.Call(0, lua.MultRet)
	return l.GetTop() - top
}

func tableConcat(l *lua.LState) int {
	t := l.CheckTable(1)
	sep := ""
	if l.Get(2) != lua.LNil {
		sep = argString(l, 2)
	}
	from, to := optInt(l, 3, 1), optInt(l, 4, t.Len())
	var room [256]byte
	out := room[:0]
	for i := from; i <= to; i++ {
		switch v := t.RawGetInt(i).(type) {
		case lua.LString:
			out = append(out, v...)
		case lua.LNumber:
			out = appendNumberText(out, float64(v))
		default:
			l.RaiseError("invalid value (%s) at index %d in table for 'concat'", v.Type().String(), i)
		}
		if i < to {
			out = append(out, sep...)
		}
	}
	l.Push(lua.LString(out))
	return 1
}

func tableInsert(l *lua.LState) int {
	t := l.CheckTable(1)
	n := t.Len()
	switch l.GetTop() {
	case 2:
		l.RawSet(t, lua.LNumber(n+1), l.Get(2))
	case 3:
		at := clampInt(float64(l.CheckNumber(2)))
		if 1 <= at && at <= n {
			t.Insert(at, l.Get(3))
		} else {
			l.RawSet(t, lua.LNumber(at), l.Get(3))
		}
	default:
		l.RaiseError("wrong number of arguments to 'insert'")
	}
	return 0
}

func tableRemove(l *lua.LState) int {
	t := l.CheckTable(1)
	n := t.Len()
	at := optInt(l, 2, n)
	if at < 1 || at > n {
		return 0
	}
	v := t.RawGetInt(at)
	t.Remove(at)
	l.Push(v)
	return 1
}

// tableForeach calls a function for all fields until it returns something.
func (m *machine) tableForeach(l *lua.LState) int {
	t, fn := m.opened(l.CheckTable(1)), l.CheckFunction(2)
	for k, v := t.Next(lua.LNil); k != lua.LNil; k, v = t.Next(k) {
		if returns(l, fn, k, v) {
			return 1
		}
	}
	return 0
}

// tableForeachi does so for the elements of an array.
func tableForeachi(l *lua.LState) int {
	t, fn := l.CheckTable(1), l.CheckFunction(2)
	for i := 1; i <= t.Len(); i++ {
		if returns(l, fn, lua.LNumber(i), t.RawGetInt(i)) {
			return 1
		}
	}
	return 0
}

// returns calls fn and tells whether it returned something, which is then on the
// stack.
func returns(l *lua.LState, fn *lua.LFunction, k, v lua.LValue) bool {
	l.Push(fn)
	l.Push(k)
	l.Push(v)
	l.Call(2, 1)
	if l.Get(-1) != lua.LNil {
		return true
	}
	l.Pop(1)
	return false
}

func tableMaxn(l *lua.LState) int {
	t := l.CheckTable(1)
	largest := lua.LNumber(t.MaxN())
	for k, _ := t.Next(lua.LNumber(t.MaxN())); k != lua.LNil; k, _ = t.Next(k) {
		if n, ok := k.(lua.LNumber); ok {
			largest = max(largest, n)
		}
	}
	l.Push(largest)
	return 1
}

func tableMove(l *lua.LState) int {
	from := l.CheckTable(1)
	first, last, at := optInt(l, 2, 0), optInt(l, 3, 0), optInt(l, 4, 0)
	to := from
	if l.Get(5) != lua.LNil {
		to = l.CheckTable(5)
	}
	if at > first {
		for i := last - first; i >= 0; i-- {
			l.SetTable(to, lua.LNumber(at+i), l.GetTable(from, lua.LNumber(first+i)))
		}
	} else {
		for i := 0; i <= last-first; i++ {
			l.SetTable(to, lua.LNumber(at+i), l.GetTable(from, lua.LNumber(first+i)))
		}
	}
	l.Push(to)
	return 1
}

func mathLog(l *lua.LState) int {
	x := math.Log(number(l, 1))
	if l.Get(2) != lua.LNil {
		// LuaJIT divides logarithms to the base 2.
		x = math.Log2(number(l, 1)) / math.Log2(number(l, 2))
	}
	l.Push(lua.LNumber(x))
	return 1
}

func mathModf(l *lua.LState) int {
	f := number(l, 1)
	whole, rest := math.Modf(f)
	if math.IsInf(f, 0) {
		whole, rest = f, 0
	}
	l.Push(lua.LNumber(whole))
	l.Push(lua.LNumber(rest))
	return 2
}

// newRandom makes a source of numbers, which depends on the seed alone. Scripts
// ask it for numbers, not secrets.
func newRandom(seed uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, seed)) //nolint:gosec // See above.
}

func (m *machine) mathRandom(l *lua.LState) int {
	r := m.random.Float64()
	switch l.GetTop() {
	case 0:
	case 1:
		r = math.Floor(r*number(l, 1)) + 1
	default:
		low, high := number(l, 1), number(l, 2)
		r = math.Floor(r*(high-low+1)) + low
	}
	l.Push(lua.LNumber(r))
	return 1
}
