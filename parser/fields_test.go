package parser_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/parser"
)

// The results in this file were observed with Fluent Bit 5.1.1, except where a
// comment says otherwise.

func TestLogfmt(t *testing.T) {
	f := func(line, want string, more ...string) {
		t.Helper()
		got, ns := parse(mustNew(t, append([]string{"Name", "p", "Format", "logfmt"}, more...)...), line)
		if got != want || ns != 42 {
			t.Errorf("%q %q: got %s at %d, want %s at 42", more, line, got, ns, want)
		}
	}
	f(`bare n=12 m="a\nb" k= e="" z="unterminated \" x`, `{"bare":true,"n":"12","m":"a\nb","k":true,"e":"","z":"unterminated \" x"}`)
	f(`=a b==c "q" d="1"e=2`, `{"a":true,"b":true,"c":true,"q":true,"d":"1","e":"2"}`)
	f("a=1\nb=2", `{"a":"1"}`)
	f("a=1\r\nb=2", `{"a":"1"}`)
	f("a=1 \nb=2", `{"a":"1","b":"2"}`)
	f("\n a=1", `{"a":"1"}`)
	f("a=ä ö=1", `{"a":"ä","ö":"1"}`)
	f(`a="\`, `{"a":"\\"}`)
	f(`a="`, `{"a":""}`)
	f(``, `no`)
	f(` = "" `, `no`)
	f(`a b=1`, `no`, "Logfmt_No_Bare_Keys", "on")
	f(`a= b=1`, `{"a":true,"b":"1"}`, "Logfmt_No_Bare_Keys", "on")
	// With types every value is the text as written.
	f(`bare n=12 m="a\nb" k= e=""`, `{"bare":"","n":12,"m":"a\\nb","k":"","e":""}`, "Types", "n:integer")
	f(`n n= n=x`, `{"n":0,"n":0,"n":0}`, "Types", "n:integer")
	// Fluent Bit ends the value at a NUL character.
	f(`a="x\0y"`, `{"a":"x\u0000y"}`)
}

func TestLTSV(t *testing.T) {
	f := func(line, want string, more ...string) {
		t.Helper()
		got, ns := parse(mustNew(t, append([]string{"Name", "p", "Format", "ltsv"}, more...)...), line)
		if got != want || ns != 42 {
			t.Errorf("%q %q: got %s at %d, want %s at 42", more, line, got, ns, want)
		}
	}
	f("a:1\tb:x y:z\tc:", `{"a":"1","b":"x y:z","c":""}`)
	f("a:1\t\tb:2", `{"a":"1"}`)
	f("a:1\tnolabel\tb:2", `{"a":"1"}`)
	f("a:1\tbad label:2\tb:2", `{"a":"1"}`)
	f(":1\tb:2", `{"b":"2"}`)
	f("a:1\r\nb:2", `{"a":"1"}`)
	f("a:1\x00\tb:2", `{"a":"1"}`)
	f("nolabel", `no`)
	f("", `no`)
	f("\n", `no`)
}

// A time that does not fit fails the whole line, and so does a line with nothing
// but the time.
func TestFieldTimes(t *testing.T) {
	const at = 1700000000_500000000
	f := func(format, line, want string, wantTime int64, more ...string) {
		t.Helper()
		p := mustNew(t, append([]string{"Name", "p", "Format", format, "Time_Format", "%s.%L"}, more...)...)
		if got, ns := parse(p, line); got != want || ns != wantTime {
			t.Errorf("%s %q %q: got %s at %d, want %s at %d", format, more, line, got, ns, want, wantTime)
		}
	}
	for format, c := range map[string]struct{ one, two, bad, empty, emptied, only string }{
		"ltsv":   {"time:1700000000.5\tm:x", "m:x\ttime:1700000000.5", "m:x\ttime:y", "time:\tm:x", `{"time":"","m":"x"}`, "time:1700000000.5"},
		"logfmt": {"time=1700000000.5 m=x", "m=x time=1700000000.5", "m=x time=y", "time= m=x", `{"time":true,"m":"x"}`, "time=1700000000.5"},
	} {
		f(format, c.one, `{"m":"x"}`, at)
		f(format, c.two, `{"m":"x"}`, at)
		f(format, c.one, `{"time":"1700000000.5","m":"x"}`, at, "Time_Keep", "on")
		f(format, c.bad, `no`, 42)
		f(format, c.bad, `no`, 42, "Time_Keep", "on")
		f(format, c.empty, c.emptied, 42)
		f(format, c.only, `no`, 42)
		f(format, c.only, `{"time":"1700000000.5"}`, at, "Time_Keep", "on")
	}
}

func TestTypes(t *testing.T) {
	f := func(typ, text, want string) {
		t.Helper()
		p := mustNew(t, "Name", "p", "Format", "ltsv", "Types", "x:"+typ+" other:integer")
		if got, _ := parse(p, "x:"+text); got != `{"x":`+want+`}` {
			t.Errorf("%s %q: got %s, want %s", typ, text, got, want)
		}
	}
	f("integer", "12", "12")
	f("INTEGER", " +12abc", "12")
	f("integer", "-5", "-5")
	f("integer", "", "0")
	f("integer", "-", "0")
	f("integer", "x", "0")
	f("integer", "0x10", "0")
	f("integer", "1.9", "1")
	f("integer", "9223372036854775807", "9223372036854775807")
	f("integer", "9223372036854775808", "9223372036854775807")
	f("integer", "-9223372036854775808", "-9223372036854775808")
	f("integer", "-99999999999999999999", "-9223372036854775808")
	f("hex", "ff", "255")
	f("hex", "0x1F", "31")
	f("hex", "0x", "0")
	f("hex", "xyz", "0")
	f("hex", "-1", "18446744073709551615")
	f("hex", "fffffffffffffffff", "18446744073709551615")
	f("float", "1.5", "1.5")
	f("float", ".5e+3x", "500")
	f("float", "1e", "1")
	f("float", "1e400", "+Inf")
	f("float", "-inf", "-Inf")
	f("float", "nan", "NaN")
	f("float", "0x1.8p3", "12")
	f("float", "0x1f", "31")
	f("float", "x", "0")
	f("float", ".", "0")
	f("float", "-", "0")
	f("float", "-0", "-0")
	f("bool", "TRUEish", "true")
	f("bool", "false", "false")
	f("bool", "falsey", "false")
	f("bool", "1", `"1"`)
	f("bool", "", `""`)
	f("string", "1", `"1"`)
	f("what", "1", `"1"`)
}

func TestBadTypesAreReported(t *testing.T) {
	var out bytes.Buffer
	p := mustNew(t, "Name", "p", "Format", "ltsv", "Types", "x:bool")
	p.SetLog(slog.New(slog.NewTextHandler(&out, nil)))
	parse(p, "x:maybe\ty:1")
	parse(p, "x:true")
	parse(p, "none")
	if p.BadTypes() != 1 || !strings.Contains(out.String(), "value=maybe") {
		t.Errorf("BadTypes is %d, log: %s", p.BadTypes(), out.String())
	}
	if p.Unfit() != 1 {
		t.Errorf("Unfit is %d, want 1", p.Unfit())
	}
}

func TestDecoders(t *testing.T) {
	f := func(record, want string, rules ...string) {
		t.Helper()
		kv := []string{"Name", "p", "Format", "json"}
		for _, r := range rules {
			key, value, _ := strings.Cut(r, " ")
			kv = append(kv, key, value)
		}
		if got, _ := parse(mustNew(t, kv...), record); got != want {
			t.Errorf("%q on %s:\ngot  %s\nwant %s", rules, record, got, want)
		}
	}
	const as, add = "Decode_Field_As ", "Decode_Field "
	f(`{"a":"{\"x\":1}","b":2}`, `{"a":{"x":1},"b":2}`, as+"json a")
	f(`{"a":"{\"x\":1}","b":2}`, `{"a":"{\"x\":1}","b":2,"x":1}`, add+"json a")
	f(`{"a":"  {\"x\":1} "}`, `{"a":{"x":1}}`, as+"json a")
	f(`{"a":"[1]","b":"\t{}","c":"{}{}","d":1}`, `{"a":"[1]","b":"\t{}","c":"{}{}","d":1}`, as+"json a", as+"json b", as+"json c", as+"json d")
	f(`{"a":"{}"}`, `{"a":{}}`, as+"json a")
	f(`{"a":"{}"}`, `{"a":"{}"}`, add+"json a")
	f(`{"b":1}`, `{"b":1}`, as+"json a")
	f(`{"a":"{\"x\":1}","a":"{\"x\":2}"}`, `{"a":{"x":1},"a":{"x":2}}`, as+"json a")
	// Both options on one field.
	f(`{"a":"{\"x\":1}"}`, `{"a":{"x":1},"x":1}`, add+"json a do_next", as+"json a")
	f(`{"a":"{\"x\":1}"}`, `{"a":"{\"x\":1}","x":1}`, add+"json a", as+"json a")
	// Text that a rule made is what the next one reads.
	f(`{"a":"{\\\"x\\\":1}"}`, `{"a":{"x":1}}`, as+"escaped a do_next", as+"json a")
	f(`{"a":"{\\\"x\\\":1}"}`, `{"a":"{\"x\":1}"}`, as+"escaped a", as+"json a")
	f(`{"a":"q\\n"}`, `{"a":"q\n"}`, as+"escaped a do_next", as+"json a")
	f(`{"a":"q\\n"}`, `{"a":"q\n"}`, as+"json a try_next", as+"escaped a")
	f(`{"a":"q\\n"}`, `{"a":"q\\n"}`, as+"json a", as+"escaped a")
	f(`{"a":"{\"x\":\"\\\\n\"}"}`, `{"a":{"x":"\\n"}}`, as+"json a try_next", as+"escaped a")
	// Of several fields the last one with text adds what is in it.
	f(`{"a":"{\"x\":1}","b":"{\"y\":2}"}`, `{"a":"{\"x\":1}","b":"{\"y\":2}","y":2}`, add+"json a", add+"json b")
	f(`{"a":"{\"x\":1}","b":"no"}`, `{"a":"{\"x\":1}","b":"no"}`, add+"json a", add+"json b")
	f(`{"a":"{\"x\":1}","b":5}`, `{"a":"{\"x\":1}","b":5,"x":1}`, add+"json a", add+"json b")
	// One rule that cannot be read turns all off.
	f(`{"a":"{}","b":"{}"}`, `{"a":"{}","b":"{}"}`, as+"json a", as+"yaml b")
	f(`{"a":"{}","b":"{}"}`, `{"a":"{}","b":"{}"}`, as+"json a", as+"json")
}

func TestDecodersOfText(t *testing.T) {
	f := func(decoder, text, want string) {
		t.Helper()
		p := mustNew(t, "Name", "p", "Format", "ltsv", "Decode_Field_As", decoder+" x")
		if got, _ := parse(p, "x:"+text); got != `{"x":`+want+`}` {
			t.Errorf("%s %q: got %s, want %s", decoder, text, got, want)
		}
	}
	f("escaped", `a\qb\"c\\n\n\tz\\`, `"aqb\"c\\n\n\tz\\"`)
	f("escaped", `\a\b\f\v\r\u0041`, `"\u0007\b\f\u000b\ru0041"`)
	// Fluent Bit makes a NUL character of a last backslash.
	f("escaped", `end\`, `"end\\"`)
	f("escaped_utf8", `\u00e9\ud83d\ude00\x41\101\q\"\/ \ud800x \u12 \u`, `"é😀AAq\"/ �x � \u0000"`)
	f("escaped_utf8", `end\`, `"end\\"`)
	f("escaped_utf8", `\x \U0001F600 \8 \777`, `"x 😀 8 ǿ"`)
	f("escaped_utf8", `\udc00 \ud800\u \ud800\ud800 \ud800\u12`, `"� � � �"`)
	f("mysql_quoted", `"a\nb\%c\0d\Z"`, `"a\nb\\%c\u0000d\u001a"`)
	f("mysql_quoted", `'it\'s'`, `"it's"`)
	f("mysql_quoted", `'mixed"`, `"'mixed\""`)
	f("mysql_quoted", `x\n`, `"x\\n"`)
	f("mysql_quoted", `"`, `"\""`)
	f("mysql_quoted", ``, `""`)
	f("mysql_quoted", `''`, `""`)
	f("mysql_quoted", `'a\'`, `"a\\"`)
}

// Where a record and what is added to it reach the sizes at which headers grow.
func TestDecodersHeaderSizes(t *testing.T) {
	p := mustNew(t, "Name", "p", "Format", "json", "Decode_Field", "json j", "Decode_Field_As", "escaped e")
	for _, fields := range []int{0, 13, 14, 65533} {
		for _, added := range []int{0, 1, 2, 16, 70000} {
			var inner, line []string
			for i := range added {
				inner = append(inner, fmt.Sprintf(`"a%d":1`, i))
			}
			for i := range fields {
				line = append(line, fmt.Sprintf(`"k%d":1`, i))
			}
			text := string(event.AppendJSONString(nil, "{"+strings.Join(inner, ",")+"}", event.JSONOptions{}))
			escaped := strings.Repeat(`\\n`, 20)
			line = append(line, `"j":`+text, `"e":"`+escaped+`"`)
			want := strings.Join(append(append([]string{}, line[:fields+1]...), append([]string{`"e":"` + strings.Repeat(`\n`, 20) + `"`}, inner...)...), ",")
			if got, _ := parse(p, "{"+strings.Join(line, ",")+"}"); got != "{"+want+"}" {
				t.Errorf("%d fields and %d added: got %.200s", fields, added, got)
			}
		}
	}
}

func TestDecodersBeforeTime(t *testing.T) {
	p := mustNew(t, "Name", "p", "Format", "json", "Time_Format", "%s", "Decode_Field", "json log")
	if got, ns := parse(p, `{"log":"{\"time\":\"1700000000\"}"}`); got != `{"log":"{\"time\":\"1700000000\"}"}` || ns != 1700000000e9 {
		t.Errorf("got %s at %d", got, ns)
	}
}

// fuzzFormat checks that any text gives a record that is one complete map, and
// leaves an event that it does not fit as it was.
func fuzzFormat(f *testing.F, parsers ...*parser.Parser) {
	f.Fuzz(func(t *testing.T, line []byte) {
		before := bytes.Clone(line)
		b := event.NewBatch("t")
		defer b.Free()
		for _, p := range parsers {
			e := b.Add(42)
			fits := p.Parse(line, e)
			if _, rest, err := event.Next(e.Record()); err != nil || len(rest) > 0 {
				t.Fatalf("%s: record %x is no single value: %v", p.Name(), e.Record(), err)
			}
			if !fits && (string(e.Record()) != "\x80" || e.Time != 42) {
				t.Fatalf("%s: a line that does not fit changed the event", p.Name())
			}
		}
		if !bytes.Equal(line, before) {
			t.Fatal("the line was changed")
		}
	})
}

func FuzzLogfmt(f *testing.F) {
	f.Add([]byte(`bare n=12 m="a\nb" k= e="" time=2 z="unterminated \" x`))
	f.Add([]byte("a=\"\\u00e9\\\"\r\n"))
	fuzzFormat(f, mustNew(f, "Name", "plain", "Format", "logfmt"),
		mustNew(f, "Name", "types", "Format", "logfmt", "Types", "n:integer m:float a:bool k:hex", "Time_Format", "%s"),
		mustNew(f, "Name", "strict", "Format", "logfmt", "Logfmt_No_Bare_Keys", "on"))
}

func FuzzLTSV(f *testing.F) {
	f.Add([]byte("a:1\tb:x y:z\tc:\ttime:2"))
	f.Add([]byte("a:1\x00\tbad label:0x1p-2\r\n"))
	fuzzFormat(f, mustNew(f, "Name", "plain", "Format", "ltsv"),
		mustNew(f, "Name", "types", "Format", "ltsv", "Types", "a:float b:bool c:hex", "Time_Format", "%s"))
}

func FuzzDecoders(f *testing.F) {
	f.Add([]byte(`{"a":"{\"x\":1}","b":"{\"y\":2}","c":"a\\u00e9\\ud83d\\ude00"}`))
	f.Add([]byte(`{"a":"{\\\"x\\\":1}","c":"'it\\'s'","b":"{}","a":"\\"}`))
	fuzzFormat(f, mustNew(f, "Name", "as", "Format", "json", "Decode_Field_As", "escaped a do_next", "Decode_Field_As", "json a",
		"Decode_Field", "json b do_next", "Decode_Field_As", "json b", "Decode_Field_As", "escaped_utf8 c try_next", "Decode_Field_As", "mysql_quoted c"),
		mustNew(f, "Name", "add", "Format", "json", "Decode_Field", "json a", "Decode_Field", "json b do_next", "Decode_Field", "escaped b",
			"Decode_Field_As", "mysql_quoted c do_next", "Decode_Field_As", "escaped_utf8 c", "Time_Format", "%s"))
}

func BenchmarkLogfmt(b *testing.B) {
	benchmarkLine(b, mustNew(b, "Name", "p", "Format", "logfmt"),
		[]byte(`ts=2024-01-15T08:30:45.123Z level=info method=GET path=/api/v1/orders/8812734 status=200 bytes=5120 msg="request \"done\" in time" client=10.42.17.203`))
}

func BenchmarkLTSV(b *testing.B) {
	benchmarkLine(b, mustNew(b, "Name", "p", "Format", "ltsv", "Types", "status:integer"),
		[]byte("host:203.0.113.77\tuser:frank\tmethod:GET\tpath:/api/v1/orders/8812734\tstatus:200\tsize:5120\tua:Mozilla/5.0 (X11; Linux x86_64)"))
}

func BenchmarkDecodeAs(b *testing.B) {
	text := string(event.AppendJSONString(nil, benchLine, event.JSONOptions{}))
	benchmarkLine(b, mustNew(b, "Name", "p", "Format", "json", "Decode_Field_As", "json log"),
		[]byte(`{"log":`+text+`,"stream":"stdout","time":"2024-01-15T08:30:45.123456789Z"}`))
}
