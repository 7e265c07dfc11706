package lua

import (
	"log/slog"
	"os"
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"
)

// evaluator is a function that returns the results of an expression as text.
const evaluator = `
local function quote(v)
  if type(v) == "string" then
    return '"' .. v:gsub("[^%w%p ]", function(c) return "\\" .. c:byte() end) .. '"'
  end
  if type(v) == "table" or type(v) == "function" then return type(v) end
  return tostring(v)
end
local function pack(...)
  local o = {}
  for i = 1, select("#", ...) do
    local v = select(i, ...)
    o[i] = quote(v)
  end
  return table.concat(o, ", ")
end
function eval(e)
  local f = loadstring((e:find("return") and "" or "return ") .. e)
  if not f then return "SYNTAX" end
  local s = pack(pcall(f))
  if s:find("^false, ") then return "ERR" end
  return s
end`

// testMachine returns a machine that has run a script.
func testMachine(t testing.TB, text string) *machine {
	t.Helper()
	m := newMachine(slog.New(slog.DiscardHandler))
	if err := m.load(source{name: "test", chunk: "test", text: text}); err != nil {
		t.Fatal(err)
	}
	return m
}

// call calls a global function with strings and returns its first result.
func (m *machine) call(t testing.TB, name string, args ...string) string {
	t.Helper()
	m.state.Push(m.state.GetGlobal(name))
	for _, a := range args {
		m.state.Push(lua.LString(a))
	}
	if err := m.state.PCall(len(args), 1, nil); err != nil {
		t.Fatal(err)
	}
	defer m.state.Pop(1)
	return m.state.Get(-1).String()
}

func TestLibraryIsThatOfLuaJIT(t *testing.T) {
	text, err := os.ReadFile("testdata/luajit.txt")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TZ", "UTC")
	m := testMachine(t, evaluator)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	for i := 2; i+1 < len(lines); i += 2 {
		want := strings.TrimPrefix(lines[i+1], "\t")
		if got := m.call(t, "eval", lines[i]); got != want {
			t.Errorf("line %d: %s\nis       %s\nexpected %s", i+1, lines[i], got, want)
		}
	}
}

func TestBitIsALibrary(t *testing.T) {
	m := testMachine(t, `local bit = require("bit") function f() return bit.tohex(bit.bxor(0xff00ff00, 0x0ff0)) end`)
	if got := m.call(t, "f"); got != "ff00f0f0" {
		t.Errorf("got %s", got)
	}
}

func TestConcatKeepsLinesAndVariables(t *testing.T) {
	f := func(body, want string) {
		t.Helper()
		m := testMachine(t, "function f()\n"+body+"\nend")
		if got := m.call(t, "f"); got != want {
			t.Errorf("%q gives %q, expected %q", body, got, want)
		}
	}
	f(`local a = 1/3 return a .. "/" .. a`, "0.33333333333333/0.33333333333333")
	f(`local function two() return 1, 2 end return "a" .. two()`, "a1")
	f(`local function all(...) return "a" .. ... end return all("b", "c")`, "ab")
	f(`local t = {} for i = 1, 3 do t["k" .. i] = function() return "v" .. i end end return t.k1() .. t.k3()`, "v1v3")
	f(`local ok, err = pcall(function() local x
	return "a" .. x end) return err`, "test:3: attempt to concatenate a nil value")
	f(`local ok, err = pcall(function() return {} .. "a" end) return err`, "test:2: attempt to concatenate a table value")
	f(`if "a" .. "b" == "ab" and not ("c" .. "d" == 5) then return ("x" .. "y"):upper() end`, "XY")
	f(`local s = "" repeat local t = s .. "a" s = t until s .. "" == "aaa" return s`, "aaa")
	f(`local s = "" while #(s .. "") < 3 do s = s .. "b" end return -(#(s .. "")) .. ""`, "-3")
	f(`return select("#", ("a" .. "b"):byte(1, -1)) .. ""`, "2")
	f(`for i = #("a" .. "b"), #("abc" .. "") do return ({["k" .. i] = "v" .. i})["k" .. i] end`, "v2")
	f(`local t = setmetatable({}, {__concat = function(a, b) return "<" .. tostring(a) .. ">" end}) return "a" .. "b" .. t`, "a<b>")
}

func TestEscapesOfLuaJIT(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if got := withPlainEscapes(text); got != want {
			t.Errorf("%q becomes %q, expected %q", text, got, want)
		}
	}
	f(`"\x41\n\\x42" -- "\x43"`, `"\065\n\\x42" -- "\x43"`)
	f("'a\\z \n  b' c", "'ab'\n c")
	f(`"\u{e9}\u{1F600}"`, `"\195\169\240\159\152\128"`)
	f(`[[\x41]] [==[\x41]]]==] "\x41"`, `[[\x41]] [==[\x41]]]==] "\065"`)
	f("--[[\\x41\n]] '\\x41' --\\x", "--[[\\x41\n]] '\\065' --\\x")
	f(`"\xg1 \x4`, `"\xg1 \x4`)
	f(`"\`, `"\`)
	f(`t[1]["\x41"]`, `t[1]["\065"]`)
}

// Scripts cannot tell a record from a table.
func TestRecordsBehaveAsTables(t *testing.T) {
	const record = `{"a":1,"b":"x","c":{"d":[1,2]},"n":null}`
	f := func(body, want string) {
		t.Helper()
		if got := through(t, "function f(tag, ts, r) "+body+" end", record); got != want {
			t.Errorf("%q makes\n%s, expected\n%s", body, got, want)
		}
	}
	result := func(expr, want string) {
		t.Helper()
		f("return 2, ts, {v = "+expr+"}", `{"v":`+want+`}`)
	}
	result(`type(r)`, `"table"`)
	result(`tostring(r):match("^table: 0x%x+$") ~= nil`, `true`)
	result(`r == r and r ~= r.c and r.c == r.c`, `true`)
	result(`({[r] = 5})[r]`, `5`)
	result(`#r`, `0`)
	result(`#r.c.d`, `2`)
	result(`rawget(r, "a")`, `1`)
	result(`rawget(r, "z") == nil and rawget(r, 1) == nil and r[1] == nil and r[true] == nil and r.z == nil`, `true`)
	result(`rawset(r, "a", 2).a`, `2`)
	result(`rawset(r, 1, 2)[1]`, `2`)
	result(`next(r)`, `"a"`)
	result(`next(r, "b")`, `"c"`)
	result(`next(r, "c") == nil`, `true`)
	result(`next({r})`, `1`)
	result(`pcall(next, r, "z")`, `false`)
	result(`pcall(next, r, 1)`, `false`)
	result(`getmetatable(r).type`, `2`)
	result(`getmetatable(r).__index == nil`, `true`)
	result(`getmetatable(r.c.d).type`, `1`)
	result(`getmetatable(r) ~= getmetatable(r.c)`, `true`)
	result(`(string.gsub("$a-$b-$z", "%$(%w)", r))`, `"1-x-$z"`)
	result(`table.concat({unpack(r)}, ",")`, `""`)
	result(`table.maxn(r)`, `0`)
	result(`select("#", ipairs(r))`, `3`)
	f(`r[nil] = 1 return 2, ts, r`, record)
	f(`r[1] = 5 r.z = 6 return 2, ts, r`, `{"1":5,"a":1,"b":"x","c":{"d":[1,2]},"z":6}`)
	f(`r["1"] = 5 return 2, ts, r`, `{"a":1,"b":"x","c":{"d":[1,2]},"1":5}`)
	f(`r[true] = 5 return 2, ts, r`, `{"a":1,"b":"x","c":{"d":[1,2]},"true":5}`)
	f(`setmetatable(r, {__index = function(t, k) return k .. "!" end}) r.w = r.q return 2, ts, r`, `{"a":1,"b":"x","c":{"d":[1,2]},"w":"q!"}`)
	f(`getmetatable(r).__newindex = function(t, k, v) rawset(t, k, "no") end r.a = 2 r.w = 1 return 2, ts, r`, `{"a":2,"b":"x","c":{"d":[1,2]},"w":"no"}`)
	f(`local child = setmetatable({}, {__index = r, __newindex = r}) child.w = child.a + 1 return 2, ts, r`, `{"a":1,"b":"x","c":{"d":[1,2]},"w":2}`)
	f(`for k, v in pairs(r) do if type(v) == "number" then r[k] = nil end end return 2, ts, r`, `{"b":"x","c":{"d":[1,2]}}`)
	f(`for k, v in pairs(r) do r[k] = nil r["p_" .. k] = v end return 2, ts, r`, `{"p_a":1,"p_b":"x","p_c":{"d":[1,2]}}`)
	f(`for k, v in pairs(r) do r[k] = nil getmetatable(r) end return 2, ts, r`, `{}`)
	f(`for k in next, r do r[k] = k end return 2, ts, r`, `{"a":"a","b":"b","c":"c"}`)
	f(`setfenv(1, setmetatable(r, {__index = _G})) a = a + 1 w = b return 2, ts, r`, `{"a":2,"b":"x","c":{"d":[1,2]},"w":"x"}`)
	f(`local sum = 0 for i, v in ipairs(r.c.d) do sum = sum + v end table.insert(r.c.d, sum) table.remove(r.c.d, 1) return 2, ts, r`, `{"a":1,"b":"x","c":{"d":[2,3]}}`)
	f(`for i = 1, 60 do r["k" .. i] = i end for i = 1, 59 do r["k" .. i] = nil end return 2, ts, r`, `{"a":1,"b":"x","c":{"d":[1,2]},"k60":60}`)
	f(`local t = {} for k, v in pairs(r) do t[#t+1] = k end return 2, ts, {keys = t}`, `{"keys":["a","b","c"]}`)
	f(`return 2, ts, {r, setmetatable(r.c, nil)}`, `{"a":1,"b":"x","c":{"d":[1,2]}} {"d":[1,2]}`)
}

func TestLargeRecordsAreTables(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"k0":0`)
	for i := 1; i < 200; i++ {
		b.WriteString(`,"` + strings.Repeat("k", i) + `":1`)
	}
	b.WriteString(`}`)
	if got := through(t, script(``), b.String()); got != b.String() {
		t.Error("a record of 200 fields did not stay as it was")
	}
	if got := through(t, script(`r.new = r.kkk + 1 r.k0 = nil`), b.String()); got != "{"+strings.TrimPrefix(b.String(), `{"k0":0,`)[:b.Len()-len(`{"k0":0,`)-1]+`,"new":2}` {
		t.Error("a record of 200 fields was not changed well")
	}
}
