package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/option"
)

// show writes nodes in a short form: text, 'quoted text', [list], {key: value}.
func show(n node) string {
	var parts []string
	switch {
	case n.alias:
		return "*" + n.text
	case n.shape == option.List:
		for _, item := range n.items {
			parts = append(parts, show(item))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case n.shape == option.Map:
		for _, p := range n.pairs {
			parts = append(parts, show(p.key)+": "+show(p.val))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case n.plain:
		return strings.ReplaceAll(n.text, "\n", `\n`)
	}
	return fmt.Sprintf("%q", n.text)
}

// The expected forms were made with libyaml 0.2.5.
func TestYAMLIsReadAsLibyamlReadsIt(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		docs, err := parseYAML("f", []byte(text))
		var got []string
		for _, d := range docs {
			got = append(got, show(d))
		}
		if err != nil {
			got = append(got, "error: "+err.Error())
			var ye *yamlError
			if !errors.As(err, &ye) {
				t.Errorf("%q: the error is a %T", text, err)
			}
		}
		if s := strings.Join(got, " --- "); s != want {
			t.Errorf("%q is read as\n  %s, want\n  %s", text, s, want)
		}
	}
	f("", "")
	f("# only a comment\n", "")
	f("a: b", "{a: b}")
	f("a:\n", "{a: }")
	f("a: b\na: c\n", "{a: b, a: c}")
	f("a: ~\nb: null\nc: 1_000\nd: 0x10\ne: 2024-05-01\nf: on\n", "{a: ~, b: null, c: 1_000, d: 0x10, e: 2024-05-01, f: on}")
	f("a:\n- b\n-\n- - c\n  - d\n", "{a: [b, , [c, d]]}")
	f("a:\n    - b\n    - c: d\n      e: f\n", "{a: [b, {c: d, e: f}]}")
	f("- a\n b\n", "[a b]")
	f("a: b\n  c\n\n  d\n", `{a: b c\nd}`)
	f("a: b\tc #d\ne: f#g\n", "{a: b\tc, e: f#g}")
	f("a: {b: c, d, e: [f, g: h], }", "{a: {b: c, d: , e: [f, {g: h}]}}")
	f("[a, b,]", "[a, b]")
	f("{a: b}}", "{a: b} --- error: this does not belong to the structure above; the indentation may be wrong, or \"---\" is missing")
	f("a: 'it''s\n  folded\n\n  text'", `{a: "it's folded\ntext"}`)
	f(`a: "\t\x41\u00e9\U0001F600\"\\\/\n"`, `{a: "\tAé😀\"\\/\n"}`)
	f("a: \"b\\\n   c\"", `{a: "bc"}`)
	f("a: |\n  x\n   y\n\nb: >\n  x\n  y\n\n  z\n", `{a: "x\n y\n", b: "x y\nz\n"}`)
	f("a: |-\n  x\n\nb: |+\n  x\n\nc: |2\n   x\n", `{a: "x", b: "x\n\n", c: " x\n"}`)
	f("? a\n: b\n? c\n", "{a: b, c: }")
	f("a: &x b\nc: *x\n", "{a: b, c: *x}")
	f("a: !!int 5\nb: ! c\nd: !<x> e\n", "{a: 5, b: c, d: e}")
	f("%YAML 1.1\n%TAG !e! x\n---\na: !e!b c\n...\n---\nd\n", "{a: c} --- d")
	f("a\n---\nb\n...\n", "a --- b")
	f("\ufeffa: b", "{a: b}")
	f("\xff\xfea\x00:\x00 \x00\xe9\x00", "{a: é}")
	f("\xfe\xff\x00a\x00:\x00 \x00\xe9", "{a: é}")
	f("a: b\r\nc: d\rE: f\u2028g: h", "{a: b, c: d, E: f, g: h}")
	f("a: http://x:80/y?z=1\n", "{a: http://x:80/y?z=1}")
	f("-1: -a\n", "{-1: -a}")

	f("a: b: c", `error: a ":" cannot stand here; a value that holds ": " must be in quotes`)
	f("a\nb: c", `error: a ":" cannot stand here; a value that holds ": " must be in quotes`)
	f("a: *", `error: a value cannot start with "*"; put it in quotes`)
	f("a: &", `error: a value cannot start with "&"; put it in quotes`)
	f("a: !x!y z", "error: the tag handle !x! is not defined")
	f("a: !\"x", `error: a value cannot start with "!"; put it in quotes`)
	f("a: %", `error: a value cannot start with "%"; put it in quotes`)
	f("a: `", "error: a value cannot start with \"`\"; put it in quotes")
	f("\ta: b", "error: a tab stands where YAML allows only spaces")
	f("a:\n  b\n\tc\n", "error: a tab stands where YAML allows only spaces")
	f("a: |\n\tx", "error: a tab stands where YAML allows only spaces")
	f("a: |0\n x", "error: the indentation of a block cannot be 0")
	f("a: | x", `error: the text of a block starts on the line after "|" or ">"`)
	f(`a: "\q"`, `error: unknown escape "\q"; write "\\" for a backslash, or use single quotes`)
	f(`a: "\`, "error: the quoted text has no closing quote")
	f(`a: "\x4"`, "error: the escape needs more hexadecimal digits")
	f(`a: "\ud800"`, "error: the escape is no Unicode character")
	f("a: 'b", "error: the quoted text has no closing quote")
	f("a: 'b\n---\n'", "error: the quoted text does not end before the document does")
	f("a: [b", `error: the "[" has no closing "]"`)
	f("a: {b", `error: the "{" has no closing "}"`)
	f("[a b: c d: e]", `error: a "," or the closing "]" is missing`)
	f("[a:, b]", `error: a ":" needs a blank after it here`)
	f("a:\n  - b\n c: d\n", "error: a key is expected here; the indentation may be wrong")
	f("- a\nb: c\n", `error: a list entry must start with "-" in the same column as the entries above`)
	f("a: - b", `error: a list entry "-" cannot stand here; start it on its own line`)
	f("a: ? b", `error: a key "?" cannot stand here`)
	f("a: b\nc\n", `error: a ":" is missing after this key`)
	f("a: ]", "error: a value is missing or stands in the wrong place")
	f("a: \x01", "error: the file has a control character")
	f("a: \xff", "error: the file is not valid UTF-8")
	f("\xff\xfea", "error: the file has half a UTF-16 character at its end")
	f("%YAML 2.0\n---\na", "error: this version of YAML is not supported")
	f("%YAML 1.1\n%YAML 1.1\n---\na", "error: the directive %YAML stands twice")
	f("%TAG ! x\n%TAG ! y\n---\na", "error: the directive %TAG stands twice for one handle")
	f("%FOO\n---\na", "error: the directive %FOO is not understood")
	f("a: !%zz b", "error: the tag has a bad % escape")
	f("a: !%ff b", "error: the % escapes of the tag are not valid UTF-8")
	f(strings.Repeat("[", 1000), "error: the nesting is too deep")
	f(strings.Repeat("- ", 1000), "error: the nesting is too deep")
	f(strings.Repeat("? ", 1000), "error: the nesting is too deep")
	f("a: &b &c d", "error: a key is expected here; the indentation may be wrong")
}

func TestYAMLNodesKnowTheirPlace(t *testing.T) {
	docs, err := parseYAML("f", []byte("é: [x,\n  {y: \"z\"}]\nlist:\n- |\n  text\n"))
	if err != nil {
		t.Fatal(err)
	}
	at := func(n node, line, col int) {
		t.Helper()
		if want := (option.Pos{File: "f", Line: line, Col: col}); n.pos != want {
			t.Errorf("%s stands at %v, want %v", show(n), n.pos, want)
		}
	}
	doc := docs[0]
	flow, list := doc.pairs[0].val, doc.pairs[1].val
	at(doc, 1, 1)
	at(doc.pairs[0].key, 1, 1)
	at(flow, 1, 4)
	at(flow.items[0], 1, 5)
	at(flow.items[1], 2, 3)
	at(flow.items[1].pairs[0].val, 2, 7)
	at(list, 4, 1)
	at(list.items[0], 4, 3)
}

func TestYAMLTakesTimeInProportionToTheText(t *testing.T) {
	for _, unit := range []string{"k: v\n", "- [a, {b: c}]\n", "# c\n", "a\n ", "'a'\n ", "? a\n", "- - a\n"} {
		text := strings.Repeat(unit, 40_000)
		if _, err := parseYAML("f", []byte(text)); err != nil && !errors.As(err, new(*yamlError)) {
			t.Errorf("%q: %v", unit, err)
		}
	}
}
