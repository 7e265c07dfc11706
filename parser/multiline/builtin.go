package multiline

import (
	"bytes"
	"slices"

	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/parser"
)

// builtins are the parsers that Fluent Bit has without a configuration.
var builtins = map[string]func() *Parser{
	"cri":    newCRI,
	"docker": newDocker,
	"go": func() *Parser {
		return rules("go", [][3]string{
			{"start_state", `/\bpanic: /`, "go_after_panic"},
			{"start_state", `/http: panic serving/`, "go_goroutine"},
			{"go_after_panic, go_after_signal, go_frame_1", `/^$/`, "go_goroutine"},
			{"go_after_panic", `/^\[signal /`, "go_after_signal"},
			{"go_goroutine", `/^goroutine \d+ \[[^\]]+\]:$/`, "go_frame_1"},
			{"go_frame_1", `/^(?:[^\s.:]+\.)*[^\s.():]+\(|^created by /`, "go_frame_2"},
			{"go_frame_2", `/^\s/`, "go_frame_1"},
		})
	},
	"java": func() *Parser {
		p := rules("java", [][3]string{
			{"start_state, java_start_exception", `/(.)(?:Exception|Error|Throwable|V8 errors stack trace)[:\r\n]/`, "java_after_exception"},
			{"java_after_exception", `/^[\t ]*nested exception is:[\t ]*/`, "java_start_exception"},
			{"java_after_exception", `/^[\r\n]*$/`, "java_after_exception"},
			{"java_after_exception, java", `/^[\t ]+(?:eval )?at /`, "java"},
			{"java_after_exception, java", `/^[\t ]+--- End of inner exception stack trace ---$/`, "java"},
			{"java_after_exception, java", `/^--- End of stack trace from previous (?x:)location where exception was thrown ---$/`, "java"},
			{"java_after_exception, java", `/^[\t ]*(?:Caused by|Suppressed):/`, "java_after_exception"},
			{"java_after_exception, java", `/^[\t ]*... \d+ (?:more|common frames omitted)/`, "java"},
		})
		p.rules[0].quick = javaStarts
		return p
	},
	"python": func() *Parser {
		return rules("python", [][3]string{
			{"start_state", `/^Traceback \(most recent call last\):$/`, "python"},
			{"python", `/^[\t ]+File /`, "python_code"},
			{"python_code", `/[^\t ]/`, "python"},
			{"python", `/^(?:[^\s.():]+\.)*[^\s.():]+:/`, "start_state"},
		})
	},
	"ruby": func() *Parser {
		return rules("ruby", [][3]string{
			{"start_state, ruby_start_exception", `/^.+:\d+:in\s+.*/`, "ruby_after_exception"},
			{"ruby_after_exception, ruby", `/^\s+from\s+.*:\d+:in\s+.*/`, "ruby"},
		})
	},
}

// javaStarts is the first rule of the parser java, which every line is tried
// with: a name of an exception before a colon or the end of a line, with
// something in front of it.
func javaStarts(text []byte) bool {
	for _, end := range [...]byte{':', '\r', '\n'} {
		for at := 0; ; at++ {
			n := bytes.IndexByte(text[at:], end)
			if n < 0 {
				break
			}
			at += n
			if javaName(text[:at]) {
				return true
			}
		}
	}
	return false
}

// javaName tells whether text ends with what exceptions are called, behind
// something else in the same line.
func javaName(text []byte) bool {
	for _, word := range [...]string{"Exception", "Error", "Throwable", "V8 errors stack trace"} {
		before := len(text) - len(word) - 1
		if before >= 0 && text[len(text)-1] == word[len(word)-1] && string(text[before+1:]) == word && text[before] != '\n' {
			return true
		}
	}
	return false
}

// BuiltinNames returns the names of the parsers that exist without being
// configured, sorted.
func BuiltinNames() []string {
	var names []string
	for name := range builtins {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// NewBuiltin makes a parser that exists without being configured, or returns nil
// if there is none of that name, which is in lower case.
func NewBuiltin(name string) *Parser {
	create := builtins[name]
	if create == nil {
		return nil
	}
	p := create()
	p.builtin = true
	return p
}

// rules makes a parser of type regex of its own rules.
func rules(name string, rules [][3]string) *Parser {
	props := []option.Property{option.Prop("name", name), option.Prop("type", "regex")}
	for _, r := range rules {
		v := option.Value{Shape: option.List, Items: []option.Value{option.Text(r[0]), option.Text(r[1]), option.Text(r[2])}}
		props = append(props, option.Property{Key: "rule", Value: v})
	}
	return must(New(props, option.Pos{}, nil))
}

// newDocker joins what Docker's driver json-file writes: lines of JSON whose log
// does not end with a line feed when it is only a part of a line.
func newDocker() *Parser {
	return &Parser{name: "docker", kind: kindEndsWith, match: "\n", keyContent: "log", keyGroup: "stream", timeout: DefaultTimeout,
		line: lineParser("_ml_json_docker",
			option.Prop("format", "json"),
			option.Prop("time_key", "time"),
			option.Prop("time_format", "%Y-%m-%dT%H:%M:%S.%L"),
			option.Prop("time_keep", "true"),
			option.Prop("time_strict", "false"))}
}

// lineParser makes the parser that a built-in one reads lines with, under the
// name that it has in Fluent Bit.
func lineParser(name string, props ...option.Property) *parser.Parser {
	return must(parser.New(name, props, option.Pos{}))
}

func must[T any](p *T, ps option.Problems) *T {
	if p == nil {
		panic("BUG: built-in multiline parser: " + ps.Err().Error())
	}
	return p
}
