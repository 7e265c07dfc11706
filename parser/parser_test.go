package parser_test

import (
	"strings"
	"testing"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/parser"
)

// mustNew makes a parser from keys and values in turn.
func mustNew(t testing.TB, kv ...string) *parser.Parser {
	t.Helper()
	p, ps := newParser(kv...)
	if p == nil {
		t.Fatalf("New(%q): %v", kv, ps)
	}
	return p
}

func newParser(kv ...string) (*parser.Parser, option.Problems) { return newParserAt(0, kv...) }

// newParserAt is newParser with the values in the given column.
func newParserAt(col int, kv ...string) (*parser.Parser, option.Problems) {
	var props []option.Property
	for i := 0; i < len(kv); i += 2 {
		p := option.Prop(kv[i], kv[i+1])
		p.Pos = option.Pos{File: "parsers.conf", Line: i/2 + 2}
		p.Value.Pos = option.Pos{File: "parsers.conf", Line: i/2 + 2, Col: col}
		props = append(props, p)
	}
	return parser.New("", props, option.Pos{File: "parsers.conf", Line: 1})
}

// parse returns the record as JSON and the time, or "no" if the line does not
// fit. The event starts with time 42.
func parse(p *parser.Parser, line string) (string, int64) {
	b := event.NewBatch("t")
	e := b.Add(42)
	if !p.Parse([]byte(line), e) {
		if string(e.Record()) != "\x80" || e.Time != 42 {
			return "the event was changed by a line that does not fit", e.Time
		}
		return "no", e.Time
	}
	return toJSON(e.Record()), e.Time
}

func TestProblems(t *testing.T) {
	f := func(want string, kv ...string) {
		t.Helper()
		p, ps := newParser(kv...)
		var lines []string
		for _, problem := range ps {
			lines = append(lines, problem.Severity.String()+": "+problem.Error())
		}
		if got := strings.Join(lines, "\n"); got != want {
			t.Errorf("%q:\n%s\nwant\n%s", kv, got, want)
		}
		if (p == nil) != ps.HasErrors() {
			t.Errorf("%q: parser %v with problems %v", kv, p, ps)
		}
	}
	f("", "Name", "p", "Format", "JSON")
	f("", "Name", "p", "format", "json", "Time_Format", "%F %T", "Time_Offset", "-0630", "Time_Keep", "on")
	f("error: parsers.conf:1: parser: option \"name\" is missing", "Format", "json")
	f("error: parsers.conf:1: parser p: option \"format\" is missing", "Name", "p")
	f("warning: parsers.conf:3: parser p: option \"Format\" has no value and is ignored\nerror: parsers.conf:1: parser p: option \"format\" is missing",
		"Name", "p", "Format", "")
	f("error: parsers.conf:3: parser p: format \"xml\" is not one of json, logfmt, ltsv, regex", "Name", "p", "Format", "xml")
	f("warning: parsers.conf:4: parser p: unknown option \"Tim_Key\" is ignored; did you mean \"time_key\"?",
		"Name", "p", "Format", "json", "Tim_Key", "x")
	f("warning: parsers.conf:4: parser p: option \"format\" is given more than once; the first one counts",
		"Name", "p", "Format", "json", "format", "xml")
	f("warning: parsers.conf:4: parser p: option \"Time_Keep\": \"maybe\" is not a boolean; use true, on, yes, false, off or no; it counts as true",
		"Name", "p", "Format", "json", "Time_Keep", "maybe")
	f("advice: parsers.conf:4: parser p: option \"time_key\" has no effect without \"time_format\"",
		"Name", "p", "Format", "json", "Time_Key", "t")
	f("advice: parsers.conf:4: parser p: option \"types\" has no effect with format json, whose values have types of their own",
		"Name", "p", "Format", "json", "Types", "a:integer")
	f("error: parsers.conf:5: parser p: option \"time_offset\": parse time offset \"x\": want Z, +hhmm, -hhmm, +hh:mm or -hh:mm",
		"Name", "p", "Format", "json", "Time_Format", "%s", "Time_Offset", "x")
	f("", "Name", "p", "Format", "json", "Time_Offset", "x")
	f("error: parsers.conf:4: parser p: option \"time_zone\" needs \"time_format\"",
		"Name", "p", "Format", "json", "Time_Zone", "Europe/Berlin")
	f("error: parsers.conf:4: parser p: option \"time_zone\" cannot be combined with \"time_offset\"",
		"Name", "p", "Format", "json", "Time_Zone", "Europe/Berlin", "Time_Format", "%T", "Time_Offset", "+0100")
	f("error: parsers.conf:4: parser p: option \"time_zone\" cannot be combined with \"time_system_timezone\"",
		"Name", "p", "Format", "json", "Time_Zone", "Europe/Berlin", "Time_Format", "%T", "Time_System_Timezone", "on")
	f("error: parsers.conf:4: parser p: option \"time_format\": compile time layout \"%s\\x00\": it holds a NUL byte",
		"Name", "p", "Format", "json", "Time_Format", "%s\x00")
	f("warning: parsers.conf:4: parser p: the time layout \"%Y-%m\" has a year and no day, which means the last day of the month before",
		"Name", "p", "Format", "json", "Time_Format", "%Y-%m")
}

func TestProblemsOfFormats(t *testing.T) {
	f := func(want string, kv ...string) {
		t.Helper()
		_, ps := newParser(append([]string{"Name", "p"}, kv...)...)
		var lines []string
		for _, problem := range ps {
			lines = append(lines, problem.Severity.String()+": "+problem.Error())
		}
		if got := strings.Join(lines, "\n"); got != want {
			t.Errorf("%q:\n%s\nwant\n%s", kv, got, want)
		}
	}
	f("error: parsers.conf:1: parser p: format regex needs the option \"regex\"", "Format", "regex")
	f("error: parsers.conf:4: parser p: option \"regex\": premature end of char-class at byte 2", "Format", "regex", "Regex", "[x")
	f("warning: parsers.conf:4: parser p: the expression has no named group such as (?<name>…), so that no line fits",
		"Format", "regex", "Regex", "(x)")
	f("warning: parsers.conf:4: parser p: option \"types\": \"a\" is not of the form key:type and is ignored", "Format", "ltsv", "Types", "a")
	f("warning: parsers.conf:4: parser p: option \"types\": \"int\" is not one of string, integer, float, bool, hex; the field \"a\" stays a string",
		"Format", "ltsv", "Types", "a:int")
	f("warning: parsers.conf:4: parser p: option \"types\": the field \"a\" is given more than once; the first one counts",
		"Format", "ltsv", "Types", "a:integer a:float")
	f("warning: parsers.conf:4: parser p: option \"decode_field\": \"json\" is not of the form decoder field [action]; no field of this parser is decoded",
		"Format", "json", "Decode_Field", "json")
	f("warning: parsers.conf:4: parser p: option \"decode_field_as\": decoder \"yaml\" is not one of json, escaped, escaped_utf8, mysql_quoted; no field of this parser is decoded",
		"Format", "json", "Decode_Field_As", "yaml a")
	f("warning: parsers.conf:4: parser p: option \"decode_field\": decoder escaped gives text, which is not added to records; use decode_field_as",
		"Format", "json", "Decode_Field", "escaped a")
	f("warning: parsers.conf:4: parser p: option \"decode_field_as\": action \"now\" is neither try_next nor do_next and is ignored",
		"Format", "json", "Decode_Field_As", "json a now")
	f("warning: parsers.conf:5: parser p: option \"decode_field\": of several fields only the last one of a record adds what is in it; use decode_field_as for others",
		"Format", "json", "Decode_Field", "json a", "Decode_Field", "json b")
}

func TestNameFromCaller(t *testing.T) {
	p, ps := parser.New("docker", []option.Property{option.Prop("format", "json")}, option.Pos{})
	if p == nil || len(ps) > 0 {
		t.Fatalf("problems: %v", ps)
	}
	if p.Name() != "docker" || p.Spec().Format != "json" {
		t.Errorf("name %q, spec %+v", p.Name(), p.Spec())
	}
}

func TestFieldsAreDocumented(t *testing.T) {
	for _, f := range new(parser.Spec).Fields() {
		if f.Doc == "" || !strings.HasSuffix(f.Doc, ".") {
			t.Errorf("option %s: doc %q is no full sentence", f.Name, f.Doc)
		}
	}
}
