package encode

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestGELF(t *testing.T) {
	g := GELF{ShortMessage: "log", Host: "h", Level: "lvl", FullMessage: "full"}
	f := func(record, want string) {
		t.Helper()
		out, err := g.Append([]byte("x"), plugintest.At, plugintest.Value(t, record))
		if err != nil {
			t.Errorf("%s: %v", record, err)
			return
		}
		want = `x{"version":"1.1"` + want + `}`
		if string(out) != want {
			t.Errorf("%s: got\n%s\nwant\n%s", record, out, want)
		}
		if !json.Valid(out[1:]) {
			t.Errorf("%s is no JSON", out[1:])
		}
	}
	const ts = `, "timestamp":1700000000.250`
	f(`{"log":"m1","h":"host1","lvl":3,"full":"long","extra":{"a":1,"b":[1,2]}}`,
		`, "short_message":"m1", "host":"host1", "level":3, "full_message":"long", "_extra_a":1, "_extra_b":"1, 2"`+ts)
	f(`{"log":"m2","lvl":"6","_id":"x","ok":true,"id":7}`, `, "short_message":"m2", "level":6, "__id":"x", "_ok":"true"`+ts)
	f(`{"log":"m3","we ird-key":1.5,"short_message":"own","lvl":"Warning"}`,
		`, "short_message":"m3", "_we_ird-key":1.500000, "_short_message":"own", "level":4`+ts)
	f(`{"log":"ä\"","n":null,"timestamp":5,"lvl":"odd"}`, `, "short_message":"\u00e4\"", "timestamp":5, "level":"odd"`)
	f(`{"log":"a","l":["q\"",{"a":1,"b":{"c":[2]}},null]}`, `, "short_message":"a", "_l":"q\", a=1b_c=2, null"`+ts)
	f(`{"log":"a","log2":{"x":{"y":null,"z":-1}}}`, `, "short_message":"a", "_log2_x_y":null, "_log2_x_z":-1`+ts)
}

func TestGELFRefusesWhatItCannotSay(t *testing.T) {
	g := GELF{}
	for record, want := range map[string]string{
		`{"a":1}`:                             "no short_message",
		`{"short_message":null}`:              "no short_message",
		`{"short_message":"a","level":-1}`:    "level",
		`{"short_message":"a","level":[1,2]}`: "level",
	} {
		out, err := g.Append([]byte("x"), 0, plugintest.Value(t, record))
		if err == nil || !strings.Contains(err.Error(), want) || string(out) != "x" {
			t.Errorf("%s: got %q, %v", record, out, err)
		}
	}
}
