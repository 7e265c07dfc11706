package file

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def(), "file", "x.log") }

// read returns the contents of a file, "" if there is none.
func read(t testing.TB, parts ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(parts...))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(b)
}

func send(t testing.TB, o plugin.Output, c *event.Chunk) {
	t.Helper()
	if err := o.Send(t.Context(), c); err != nil {
		t.Fatalf("Send: %v", err)
	}
}

func TestFormats(t *testing.T) {
	records := []string{
		`{"a":1,"b":"two words","c":1.5}`,
		`{"a":true,"b":"q\"uo,te\tx","n":null}`,
		`{}`,
		`{"m":{"k":[1,"x"]},"b":"\u00e9\n2"}`,
		`{"a":1,"a":2,"u":18446744073709551615}`,
	}
	f := func(want string, keysAndValues ...string) {
		t.Helper()
		dir := t.TempDir()
		o := plugintest.NewOutput(t, Def(), plugintest.Env(t), append(keysAndValues, "path", dir, "file", "out")...)
		send(t, o, plugintest.Chunk(t, "the.tag", records...))
		if got := read(t, dir, "out"); got != want {
			t.Errorf("with %q the file holds\n%s, expected\n%s", keysAndValues, got, want)
		}
	}
	f(`the.tag: [1700000000.250000000, {"a":1,"b":"two words","c":1.5}]
the.tag: [1700000001.250000000, {"a":true,"b":"q\"uo,te\tx","n":null}]
the.tag: [1700000002.250000000, {}]
the.tag: [1700000003.250000000, {"m":{"k":[1,"x"]},"b":"\u00e9\n2"}]
the.tag: [1700000004.250000000, {"a":2,"u":18446744073709551615}]
`)
	f(`{"a":1,"b":"two words","c":1.5}
{"a":true,"b":"q\"uo,te\tx","n":null}
{}
{"m":{"k":[1,"x"]},"b":"\u00e9\n2"}
{"a":2,"u":18446744073709551615}
`, "format", "PLAIN")
	f(`1700000000.250000000,1,"two words",1.500000
1700000001.250000000,true,"q"uo,te	x",nil
1700000003.250000000,{"k"=>[1, "x"]},"é
2"
1700000004.250000000,1,2,18446744073709551615
`, "format", "csv")
	f(`timestamp "a" "b" "c"
1700000000.250000000 1 "two words" 1.500000
1700000001.250000000 true "q"uo,te	x" nil
1700000003.250000000 {"k"=>[1, "x"]} "é
2"
1700000004.250000000 1 2 18446744073709551615
`, "format", "csv", "delimiter", "Space", "csv_column_names", "on")
	f(`"time":1700000000.250000	"a":1	"b":"two words"	"c":1.500000
"time":1700000001.250000	"a":true	"b":"q"uo,te	x"	"n":nil
"time":1700000003.250000	"m":{"k"=>[1, "x"]}	"b":"é
2"
"time":1700000004.250000	"a":1	"a":2	"u":18446744073709551615
`, "format", "ltsv")
	f(`"time",1700000000.250000 "a",1 "b","two words" "c",1.500000
"time",1700000001.250000 "a",true "b","q"uo,te	x" "n",nil
"time",1700000003.250000 "m",{"k"=>[1, "x"]} "b","é
2"
"time",1700000004.250000 "a",1 "a",2 "u",18446744073709551615
`, "format", "ltsv", "label_delimiter", "comma", "delimiter", "space")
	f(`1700000000.250000 [1] two words {none} {m} {x
1700000001.250000 [true] q"uo,te	x {none} {m} {x
1700000002.250000 [{a}] {b} {none} {m} {x
1700000003.250000 [{a}] é
2 {none} {"k"=>[1, "x"]} {x
1700000004.250000 [1] {b} {none} {m} {x
`, "format", "template", "template", "{time} [{a}] {b} {none} {m} {x")
}

func TestATagCannotAddALine(t *testing.T) {
	dir := t.TempDir()
	o := plugintest.NewOutput(t, Def(), plugintest.Env(t), "path", dir, "file", "out")
	send(t, o, plugintest.Chunk(t, "a\nb: [1.0, {}]\x7f", `{}`))
	if got, want := read(t, dir, "out"), "a\\u000ab: [1.0, {}]\\u007f: [1700000000.250000000, {}]\n"; got != want {
		t.Errorf("the file holds %q, expected %q", got, want)
	}
}

func TestTemplateBraces(t *testing.T) {
	f := func(template, want string) {
		t.Helper()
		o := &Output{format: formatTemplate, template: parseTemplate(template)}
		cur := plugintest.Chunk(t, "t", `{"a":"A","b":2.5,"bin":null}`).Cursor()
		cur.Next()
		if got := string(o.appendRecord(nil, "t", &cur)); got != want+"\n" {
			t.Errorf("template %q gives %q, expected %q", template, got, want)
		}
	}
	f("", "")
	f("{a}", "A")
	f("{a}{b}", "A2.500000")
	f("}{a}{", "}A{")
	f("{x{a}}", "{xA}")
	f("{}|{t}|{ti}|{time}|{times}", "1700000000.250000|1700000000.250000|1700000000.250000|1700000000.250000|{times}")
	f("{bin}", "nil")
	f("a{", "a{")
}

func TestMsgpackIsTheChunkItself(t *testing.T) {
	dir := t.TempDir()
	o := plugintest.NewOutput(t, Def(), plugintest.Env(t), "path", dir, "format", "msgpack")
	c := plugintest.Chunk(t, "t", `{"a":1}`, `{"b":2}`)
	send(t, o, c)
	send(t, o, c)
	if got := read(t, dir, "t"); got != strings.Repeat(string(c.Bytes()), 2) {
		t.Errorf("the file holds %q", got)
	}
}

func TestUnicodeIsEscapedAsTheServiceSays(t *testing.T) {
	dir := t.TempDir()
	env := plugintest.Env(t)
	env.Service.EscapeUnicode = false
	o := plugintest.NewOutput(t, Def(), env, "path", dir, "format", "plain")
	send(t, o, plugintest.Chunk(t, "t", `{"a":"é"}`))
	if got := read(t, dir, "t"); got != "{\"a\":\"é\"}\n" {
		t.Errorf("the file holds %q", got)
	}
}

func TestFileNameOfATag(t *testing.T) {
	f := func(tag, want string) {
		t.Helper()
		if got := safeName(tag); got != want {
			t.Errorf("the file of tag %q is %q, expected %q", tag, got, want)
		}
	}
	f("app.one-two_3", "app.one-two_3")
	f("", "_")
	f("/", "_")
	f("/etc/passwd", "etc/passwd")
	f("../../etc/passwd", "_/_/etc/passwd")
	f("./a//b\\c", "_/a/b/c")
	f("a b:c*é", "a_b_c___")
	f("...", "...")
}

func TestColumnNamesOnlyBeginAFile(t *testing.T) {
	dir := t.TempDir()
	o := plugintest.NewOutput(t, Def(), plugintest.Env(t), "path", dir, "file", "o", "format", "csv", "csv_column_names", "true")
	send(t, o, plugintest.Chunk(t, "t", `{}`, `{"a":1}`))
	send(t, o, plugintest.Chunk(t, "t", `{"b":2}`))
	want := "timestamp,\"a\"\n1700000001.250000000,1\n1700000000.250000000,2\n"
	if got := read(t, dir, "o"); got != want {
		t.Errorf("the file holds\n%s, expected\n%s", got, want)
	}
}

func TestMissingFolders(t *testing.T) {
	dir := t.TempDir()
	c := plugintest.Chunk(t, "t", `{"a":1}`)
	without := plugintest.NewOutput(t, Def(), plugintest.Env(t), "path", filepath.Join(dir, "x", "y"), "file", "o")
	if err := without.Send(t.Context(), c); err == nil {
		t.Error("Send to a missing folder returned no error")
	}
	with := plugintest.NewOutput(t, Def(), plugintest.Env(t), "path", filepath.Join(dir, "x", "y"), "file", "o", "mkdir", "on")
	send(t, with, c)
	if read(t, dir, "x", "y", "o") == "" {
		t.Error("nothing was written to the new folder")
	}
}

func TestBadOptionsAreRefused(t *testing.T) {
	f := func(want string, keysAndValues ...string) {
		t.Helper()
		_, err := plugintest.TryOutput(Def(), plugintest.Env(t), keysAndValues...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("with %q the error is %v, expected one with %q", keysAndValues, err, want)
		}
	}
	f(`"yaml" is not one of out_file, plain`, "format", "yaml")
	f("fallback_file is required", "file", "$a")
	f("fallback_file is required", "file", "a", "on_limit_reached", "fallback")
	f("fallback_file is required", "path", "/x/%Y", "enable_strftime", "on")
	f("must begin with something fixed", "path", "$a/b", "fallback_file", "f")
	f("max_dynamic_files", "max_dynamic_files", "-1")
	f("rotate_max_size", "rotate", "on", "rotate_max_size", "0")
	f("rotate_max_files", "rotate", "on", "rotate_max_files", "0")
	f(`"perhaps" is not one of error, drop, fallback`, "on_missing_field", "perhaps")
}

func TestUnknownDelimitersAreIgnoredWithAWarning(t *testing.T) {
	cfg, problems := plugintest.Decode(Def(), "format", "csv", "delimiter", ";")
	if problems.HasErrors() || len(problems) != 1 {
		t.Errorf("problems: %v, expected one warning", problems)
	}
	out, err := cfg.(*Config).New(plugintest.Env(t))
	if err != nil || out.(*Output).delimiter != "," {
		t.Errorf("the delimiter is %q, error %v", out.(*Output).delimiter, err)
	}
}

func BenchmarkSend(b *testing.B) {
	records := make([]string, 1000)
	for i := range records {
		records[i] = fmt.Sprintf(`{"log":"a line of a log that is not too short %d","level":"info","n":%d}`, i, i)
	}
	c := plugintest.Chunk(b, "t", records...)
	o := plugintest.NewOutput(b, Def(), plugintest.Env(b), "file", os.DevNull)
	b.SetBytes(int64(c.Size()))
	for b.Loop() {
		send(b, o, c)
	}
}
