package lua

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	lua "github.com/yuin/gopher-lua"

	"github.com/kagarilog/kagari/internal/timefmt"
)

// openOS replaces functions of the library os: gopher-lua's os.date knows half
// of the formats of strftime(3).
func (m *machine) openOS() {
	m.replace(m.library("os"), map[string]lua.LGFunction{
		"date":   m.osDate,
		"time":   m.osTime,
		"exit":   m.osExit,
		"remove": func(l *lua.LState) int { return pushFileResult(l, os.Remove(argString(l, 1)), argString(l, 1)) },
		"rename": func(l *lua.LState) int {
			return pushFileResult(l, os.Rename(argString(l, 1), argString(l, 2)), argString(l, 1))
		},
	})
}

// maxFormats is how many formats of os.date are kept compiled.
const maxFormats = 64

func (m *machine) osDate(l *lua.LState) int {
	layout := "%c"
	if l.Get(1) != lua.LNil {
		layout = argString(l, 1)
	}
	ns := time.Now().UnixNano()
	if l.Get(2) != lua.LNil {
		ns = truncate(number(l, 2))
		if ns <= -maxTime || ns >= maxTime {
			l.RaiseError("date result cannot be represented in this installation")
		}
		ns *= 1e9
	}
	loc := time.Local
	if strings.HasPrefix(layout, "!") {
		layout, loc = layout[1:], time.UTC
	}
	if strings.HasPrefix(layout, "*t") {
		l.Push(m.dateTable(time.Unix(0, ns).In(loc)))
		return 1
	}
	f := m.formats[layout]
	if f == nil {
		var err error
		if f, err = timefmt.CompileFormat(layout, timefmt.Extensions{}); err != nil {
			l.RaiseError("%s", err.Error())
		}
		if len(m.formats) >= maxFormats {
			clear(m.formats)
		}
		m.formats[layout] = f
	}
	l.Push(lua.LString(f.Append(make([]byte, 0, f.Size()), ns, loc)))
	return 1
}

func (m *machine) dateTable(t time.Time) *lua.LTable {
	d := m.state.CreateTable(0, 9)
	for _, field := range [...]struct {
		name string
		n    int
	}{
		{"sec", t.Second()}, {"min", t.Minute()}, {"hour", t.Hour()}, {"day", t.Day()}, {"month", int(t.Month())},
		{"year", t.Year()}, {"wday", int(t.Weekday()) + 1}, {"yday", t.YearDay()},
	} {
		d.RawSetString(field.name, lua.LNumber(field.n))
	}
	d.RawSetString("isdst", lua.LBool(t.IsDST()))
	return d
}

func (m *machine) osTime(l *lua.LState) int {
	if l.Get(1) == lua.LNil {
		l.Push(lua.LNumber(time.Now().Unix()))
		return 1
	}
	t := l.CheckTable(1)
	field := func(name string, def int) int {
		switch v := l.GetField(t, name).(type) {
		case lua.LNumber:
			return clampInt(float64(v))
		case lua.LString:
			if f, ok := parseNumber(string(v)); ok {
				return clampInt(f)
			}
		}
		if def < 0 {
			l.RaiseError("field '%s' missing in date table", name)
		}
		return def
	}
	when := time.Date(field("year", -1), time.Month(field("month", -1)), field("day", -1),
		field("hour", 12), field("min", 0), field("sec", 0), 0, time.Local)
	l.Push(lua.LNumber(when.Unix()))
	return 1
}

// osExit asks the process to flush and end, and fails the call.
func (m *machine) osExit(l *lua.LState) int {
	code := optInt(l, 1, 0)
	if b, ok := l.Get(1).(lua.LBool); ok && !bool(b) {
		code = 1
	}
	if m.exit != nil {
		m.exit(code)
	}
	l.RaiseError("os.exit(%d) was called", code)
	return 0
}

// pushFileResult pushes true, or nil, a message and the number of the error.
func pushFileResult(l *lua.LState, err error, name string) int {
	if err == nil {
		l.Push(lua.LTrue)
		return 1
	}
	text, number := err.Error(), 0
	var link *os.LinkError
	var path *fs.PathError
	switch {
	case errors.As(err, &link):
		text = link.Err.Error()
	case errors.As(err, &path):
		text = path.Err.Error()
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		number = int(errno)
	}
	l.Push(lua.LNil)
	l.Push(lua.LString(name + ": " + text))
	l.Push(lua.LNumber(number))
	return 3
}
