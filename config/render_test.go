package config

import (
	"bytes"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/option"
)

func TestProblemsAreShownWithTheirLine(t *testing.T) {
	src := &Sources{}
	if err := src.add("a.conf", []byte("[INPUT]\n\tNäme\tx\n")); err != nil {
		t.Fatal(err)
	}
	f := func(p option.Problem, src *Sources, color bool, want ...string) {
		t.Helper()
		var b bytes.Buffer
		Render(&b, option.Problems{p}, src, color)
		if got := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n"); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("got\n%s\nwant\n%s", b.String(), strings.Join(want, "\n"))
		}
	}
	at := option.Pos{File: "a.conf", Line: 2, Col: 7}
	f(option.Problem{Pos: at, Message: "m", Fix: "f", Section: "input x", Code: "KG001"}, src, false,
		"error[KG001]: m", " --> a.conf:2:7 (input x)", "  |", "2 | \tNäme\tx", "  | \t    \t^", "  = f", "", "1 error")
	f(option.Problem{Pos: option.Pos{File: "a.conf", Line: 2}, Message: "m", Severity: option.Advice}, src, false,
		"advice: m", " --> a.conf:2", "  |", "2 | \tNäme\tx", "", "1 advice")
	f(option.Problem{Pos: at, Message: "m"}, nil, false, "error: m", " --> a.conf:2:7", "", "1 error")
	f(option.Problem{Message: "m", Severity: option.Warning}, src, false, "warning: m", " --> command line", "", "1 warning")
	f(option.Problem{Pos: option.Pos{File: "a.conf", Line: 1, Col: 99}, Message: "m"}, src, false,
		"error: m", " --> a.conf:1:99", "  |", "1 | [INPUT]", "  |        ^", "", "1 error")
	f(option.Problem{Pos: option.Pos{File: "a.conf", Line: 1, Col: 1}, Message: "m\x1b[31m\u202e"}, src, true,
		"\x1b[1;31merror\x1b[0m\x1b[1m: m·[31m·\x1b[0m", " \x1b[34m-->\x1b[0m a.conf:1:1", "  \x1b[34m|\x1b[0m",
		"\x1b[34m1 |\x1b[0m [INPUT]", "  \x1b[34m|\x1b[0m \x1b[1;31m^^^^^^^\x1b[0m", "", "1 error")
}

func TestSecretsAreNotShown(t *testing.T) {
	f := func(line, want string) {
		t.Helper()
		if got, _ := excerpt(line, 1); got != want {
			t.Errorf("%q is shown as %q, want %q", line, got, want)
		}
	}
	f("    Http_Passwd sesame street", "    Http_Passwd ***")
	f("      http_passwd: 'x'", "      http_passwd: ***")
	f("  - apikey: x", "  - apikey: ***")
	f("    Shared_Key x", "    Shared_Key ***")
	f("    license_key x", "    license_key ***")
	f("    oauth2.client_secret x", "    oauth2.client_secret ***")
	f("    Http_Passwd ${PASSWORD}", "    Http_Passwd ${PASSWORD}")
	f("    Key_Name token", "    Key_Name token")
	f("    Match *", "    Match *")
}
