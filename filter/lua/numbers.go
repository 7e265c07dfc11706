package lua

import (
	"math"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// Numbers become text as in LuaJIT, with at most 14 digits: "%.14g" of C.

func formatNumber(f float64) string {
	var room [32]byte
	return string(appendNumberText(room[:0], f))
}

func appendNumberText(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "nan"...)
	case math.IsInf(f, 1):
		return append(dst, "inf"...)
	case math.IsInf(f, -1):
		return append(dst, "-inf"...)
	}
	const most = 1e14 // From here on there is an exponent.
	if i := int64(f); float64(i) == f && -most < f && f < most && (i != 0 || !math.Signbit(f)) {
		return strconv.AppendInt(dst, i, 10)
	}
	return strconv.AppendFloat(dst, f, 'g', 14, 64)
}

// parseNumber reads a number as LuaJIT does: decimal or hexadecimal, with a
// fraction and an exponent, or binary, or inf or nan, between blanks.
func parseNumber(s string) (float64, bool) {
	s = strings.ToLower(strings.Trim(s, " \t\n\v\f\r"))
	if strings.ContainsRune(s, '_') {
		return 0, false
	}
	body, sign := s, 1.0
	switch {
	case strings.HasPrefix(s, "-"):
		body, sign = s[1:], -1
	case strings.HasPrefix(s, "+"):
		body = s[1:]
	}
	var f float64
	var err error
	switch {
	case strings.HasPrefix(body, "+"), strings.HasPrefix(body, "-"):
		return 0, false
	case strings.HasPrefix(body, "0b"):
		var u uint64
		u, err = strconv.ParseUint(body[2:], 2, 64)
		f = float64(u)
	case strings.HasPrefix(body, "0x") && !strings.ContainsRune(body, 'p'):
		f, err = strconv.ParseFloat(body+"p0", 64)
	default:
		f, err = strconv.ParseFloat(body, 64)
	}
	if err != nil && !math.IsInf(f, 0) {
		return 0, false
	}
	return sign * f, true
}

// baseToNumber is tonumber.
func baseToNumber(l *lua.LState) int {
	v := l.CheckAny(1)
	base := optInt(l, 2, 10)
	if base == 10 {
		switch v := v.(type) {
		case lua.LNumber:
			l.Push(v)
			return 1
		case lua.LString:
			if f, ok := parseNumber(string(v)); ok {
				l.Push(lua.LNumber(f))
				return 1
			}
		}
		l.Push(lua.LNil)
		return 1
	}
	if base < 2 || base > 36 {
		l.ArgError(2, "base out of range")
	}
	s := strings.ToLower(strings.Trim(argString(l, 1), " \t\n\v\f\r"))
	negative := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(s, "-")
	if base == 16 {
		s = strings.TrimPrefix(s, "0x")
	}
	u, err := strconv.ParseUint(s, base, 64)
	switch {
	case err != nil || strings.ContainsAny(s, "+_"):
		l.Push(lua.LNil)
	case negative:
		l.Push(lua.LNumber(-float64(u)))
	default:
		l.Push(lua.LNumber(u))
	}
	return 1
}
