package lua

import (
	"math/bits"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// openBits adds the library bit of LuaJIT (bitop.luajit.org): operations on
// numbers of 32 bits with a sign.
func (m *machine) openBits() {
	shift := func(f func(x uint32, n int) uint32) lua.LGFunction {
		return func(l *lua.LState) int {
			return pushBits(l, f(bitArg(l, 1), int(bitArg(l, 2)&31)))
		}
	}
	fold := func(f func(a, b uint32) uint32) lua.LGFunction {
		return func(l *lua.LState) int {
			x := bitArg(l, 1)
			for i := 2; i <= l.GetTop(); i++ {
				x = f(x, bitArg(l, i))
			}
			return pushBits(l, x)
		}
	}
	t := m.state.NewTable()
	m.replace(t, map[string]lua.LGFunction{
		"tobit":   func(l *lua.LState) int { return pushBits(l, bitArg(l, 1)) },
		"bnot":    func(l *lua.LState) int { return pushBits(l, ^bitArg(l, 1)) },
		"bswap":   func(l *lua.LState) int { return pushBits(l, bits.ReverseBytes32(bitArg(l, 1))) },
		"band":    fold(func(a, b uint32) uint32 { return a & b }),
		"bor":     fold(func(a, b uint32) uint32 { return a | b }),
		"bxor":    fold(func(a, b uint32) uint32 { return a ^ b }),
		"lshift":  shift(func(x uint32, n int) uint32 { return x << n }),
		"rshift":  shift(func(x uint32, n int) uint32 { return x >> n }),
		"arshift": shift(func(x uint32, n int) uint32 { return uint32(int32(x) >> n) }),
		"rol":     shift(bits.RotateLeft32),
		"ror":     shift(func(x uint32, n int) uint32 { return bits.RotateLeft32(x, -n) }),
		"tohex":   bitHex,
	})
	m.state.G.Global.RawSetString("bit", t)
	if loaded, ok := m.library("package").RawGetString("loaded").(*lua.LTable); ok {
		loaded.RawSetString("bit", t) // require gives it, too.
	}
}

// bitArg returns the lowest 32 bits of an argument, rounded to the nearest
// whole number, as LuaJIT does: with the addition that moves the bits of the
// fraction out of a float64.
func bitArg(l *lua.LState, n int) uint32 {
	f := number(l, n)
	const limit = 1 << 51
	if f > -limit && f < limit {
		return uint32(int64(roundEven(f)))
	}
	return uint32(truncate(f))
}

// roundEven rounds as floating-point additions do.
func roundEven(f float64) float64 {
	const magic = 1<<52 + 1<<51
	return f + magic - magic
}

func pushBits(l *lua.LState, x uint32) int {
	l.Push(lua.LNumber(int32(x)))
	return 1
}

func bitHex(l *lua.LState) int {
	x := bitArg(l, 1)
	n := optInt(l, 2, 8)
	text := strconv.FormatUint(uint64(x)|1<<32, 16)[1:]
	if n < 0 {
		text, n = strings.ToUpper(text), -n
	}
	l.Push(lua.LString(text[8-min(n, 8):]))
	return 1
}
