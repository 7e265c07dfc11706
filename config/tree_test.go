package config

import (
	"strings"
	"testing"

	"github.com/kagarilog/kagari/option"
)

func TestATreeIsTheFileAsWritten(t *testing.T) {
	t.Chdir("testdata")
	f := func(file, want string) {
		t.Helper()
		tree, ps := ReadTree(file)
		if err := ps.Err(); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range tree.Sections() {
			got = append(got, s.Name+" "+s.Pos.String()+strings.ReplaceAll(dumpProps(" ", s.Props), "\n", ""))
		}
		if s := strings.Join(got, "\n"); s != want {
			t.Errorf("%s is\n%s\nwant\n%s", file, s, want)
		}
	}
	f("basic.good.conf", `INPUT parts/in_a.conf:1:1 name = "dummy" tag = "from_a"
INPUT parts/in_b.conf:2:1 name = "dummy" tag = "from_b"
SERVICE basic.good.conf:6:1 flush = "0.5" log_level = "warning" parsers_file = "parts/parsers.conf" parsers_file = "parts/more_parsers.conf" streams_file = "parts/streams.conf" http_server = "On" hot_reload = "yes"
INPUT basic.good.conf:16:1 name = "dummy" tag = "${tag}.cart" dummy = "{\"item\": \"tea # not a comment\", \"quoted\": \"${HOME_OF_NOTHING:-no}\"}" samples = "1"
filter basic.good.conf:24:1 name = "modify" match = "*" set = "a 1" set = "\"b c\" 'two words'" remove = "x" set = "d ${tag}-${nothing}"
OUTPUT basic.good.conf:32:1 name = "stdout" match = "${tag}.*" retry_limit = "no_limits"`)
	f("parts/extra.yaml", `output parts/extra.yaml:3:7 name = "null" match = "t"
input parts/extra.yaml:5:1 name = "dummy" tag = "late"
unknown parts/extra.yaml:8:1 a = "b"`)
}

func TestTheSourcesListTheFilesInTheOrderOfReading(t *testing.T) {
	t.Chdir("testdata")
	cfg, _ := Load("basic.good.conf", LoadOptions{LookupEnv: testEnv})
	want := "basic.good.conf parts/in_a.conf parts/in_b.conf parts/parsers.conf parts/more_parsers.conf parts/streams.conf"
	if got := strings.Join(cfg.Sources.Files(), " "); got != want {
		t.Errorf("the files are %s, want %s", got, want)
	}
	if line, ok := cfg.Sources.Line(option.Pos{File: "parts/in_b.conf", Line: 3}); !ok || line != "\tName dummy" {
		t.Errorf("the line is %q", line)
	}
	var none *Sources
	if _, ok := none.Line(option.Pos{File: "x", Line: 1}); ok || none.Files() != nil {
		t.Error("no sources have lines")
	}
}
