package e2e

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
)

// nasty are texts that writers of JSON and of lines get wrong.
var nasty = []string{
	"plain",
	"\x00", "a\x00b\x00", "\x01\x02\x1b[31mred\x1b[0m\x7f",
	"line\nfeed\r\nand\ttab\v\f\b",
	`quote " backslash \ slash /`, `\`, `\u0000 \n`, `"`,
	"\xff", "\xfe\xff", "a\xc3", "\xc3(", "\xe2\x82", "\xf0\x9f\x98", "\x80\x81", "ok\xa0\xa1ok",
	"\xc0\x80", "\xc1\xbf", "\xe0\x80\xaf", // overlong
	"\xed\xa0\x80", "\xed\xa0\xbd\xed\xb8\x80", // surrogates
	"\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", // beyond Unicode
	"é ü 日本語 😀 \u2028 \u2029 \ufeff \ufffd \uffff \u0085",
	strings.Repeat("\xf0\x9f\x98\x80", 1000) + "\xf0\x9f",
	strings.Repeat("\x00\xff", 4000),
	"x\"}]\n{\"forged\":true}\n",
}

// sent is one text on its way; id marks the record that it is in.
type sent struct{ id, address, bytes string }

// Whatever bytes come in as text, every record reaches every output, as valid
// JSON in valid UTF-8, and no text can add a line or a field.
func TestAllBytesComeThrough(t *testing.T) {
	var mu sync.Mutex
	var bodies []string
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		bodies = append(bodies, string(b))
	}))
	defer srv.Close()
	received := func() []string { mu.Lock(); defer mu.Unlock(); return append([]string(nil), bodies...) }

	dir := t.TempDir()
	ports := map[string]string{}
	var inputs strings.Builder
	for _, in := range []string{"forward", "http", "tcp"} {
		ports[in] = freePort(t)
		fmt.Fprintf(&inputs, "[INPUT]\n    Name %s\n    Listen 127.0.0.1\n    Port %s\n", in, ports[in])
	}
	host, port, _ := strings.Cut(strings.TrimPrefix(srv.URL, "http://"), ":")
	r := watched(t, nil, "    Grace 5", inputs.String()+fmt.Sprintf(`
[OUTPUT]
    Name file
    Match *
    Format plain
    Path %[1]s
    File plain
[OUTPUT]
    Name file
    Match *
    Path %[1]s
    File tagged
[OUTPUT]
    Name http
    Match *
    Host %[2]s
    Port %[3]s
    Format json
[OUTPUT]
    Name http
    Match *
    Host %[2]s
    Port %[3]s
    Format json_lines
`, dir, host, port))

	var all []sent
	for i, text := range nasty {
		id := func(kind string) string { return kind + "-" + strconv.Itoa(i) }
		add := func(kind, input, bytes string) {
			all = append(all, sent{id(kind), "127.0.0.1:" + ports[input], bytes})
		}
		pair := func(key, value string) string { return string(msgString(key)) + string(msgString(value)) }
		forward := func(tag string, fields ...string) string {
			b := binary.BigEndian.AppendUint32(append(append([]byte{0x93}, msgString(tag)...), 0xce), 1700000000)
			return string(append(b, 0x80|byte(len(fields)))) + strings.Join(fields, "")
		}
		add("value", "forward", forward("a", pair("id", id("value")), pair("text", text)))
		add("key", "forward", forward("a", pair("id", id("key")), pair(text+"key", "v")))
		add("tag", "forward", forward(text, pair("id", id("tag"))))
		bin := append(binary.BigEndian.AppendUint32([]byte{0xc6}, uint32(len(text))), text...)
		add("binary", "forward", forward("a", pair("id", id("binary")), string(msgString("text"))+string(bin)))
		// As a body of JSON: escaped where it must be, with its bytes otherwise.
		escaped := jsonText(text)
		record := func(kind string) string { return fmt.Sprintf(`{"id":"%s","text":"%s"}`, id(kind), escaped) }
		add("http", "http", post("/a", "application/json", record("http")))
		add("tcp", "tcp", record("tcp"))
	}
	for _, s := range all {
		c := say(t, s.address, s.bytes)
		if strings.HasPrefix(s.id, "http") {
			_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
			if _, err := io.ReadFull(c, make([]byte, 12)); err != nil {
				t.Fatal(err)
			}
		}
		defer c.Close()
	}
	plain, tagged := filepath.Join(dir, "plain"), filepath.Join(dir, "tagged")
	waitFor(t, "all records", func() bool {
		n := 0
		for _, b := range received() {
			n += strings.Count(b, `"id":`)
		}
		return count(plain) >= len(all) && count(tagged) >= len(all) && n >= 2*len(all)
	})
	r.stopWithin(3 * time.Second)
	for _, bad := range []string{"\x00", "\x1b", "\x7f"} {
		if strings.Contains(r.log.String(), bad) {
			t.Errorf("the log contains %q", bad)
		}
	}

	check := func(where string, records []string) map[string]string {
		t.Helper()
		found := map[string]string{}
		for _, text := range records {
			if !utf8.ValidString(text) {
				t.Errorf("%s: no valid UTF-8: %.200q", where, text)
			}
			var rec map[string]any
			if err := json.Unmarshal([]byte(text), &rec); err != nil {
				t.Errorf("%s: %v in %.200q", where, err, text)
				continue
			}
			id, _ := rec["id"].(string)
			if _, twice := found[id]; twice || id == "" {
				t.Errorf("%s: the record %q came twice or is none of ours: %.200q", where, id, text)
			}
			delete(rec, "date")
			b, _ := json.Marshal(rec)
			found[id] = string(b)
		}
		for _, s := range all {
			if found[s.id] == "" {
				t.Errorf("%s: the record %s is missing", where, s.id)
			}
		}
		return found
	}
	inPlain := check("plain", lines(plain))
	line := regexp.MustCompile(`(?s)^(.*?): \[[0-9.]+, (\{.*\})\]$`)
	var records []string
	for _, l := range lines(tagged) {
		m := line.FindStringSubmatch(l)
		if m == nil {
			t.Errorf("no line of out_file: %.200q", l)
			continue
		}
		records = append(records, m[2])
	}
	inTagged := check("out_file", records)
	var arrays, single []string
	for _, body := range received() {
		if !strings.HasPrefix(body, "[") {
			single = append(single, strings.Split(strings.TrimSuffix(body, "\n"), "\n")...)
			continue
		}
		var part []json.RawMessage
		if err := json.Unmarshal([]byte(body), &part); err != nil {
			t.Errorf("json: %v in %.200q", err, body)
		}
		for _, p := range part {
			arrays = append(arrays, string(p))
		}
	}
	inArrays, inLines := check("json", arrays), check("json_lines", single)
	for _, s := range all {
		if a := inPlain[s.id]; inTagged[s.id] != a || inArrays[s.id] != a || inLines[s.id] != a {
			t.Errorf("%s differs between outputs: %.200q, %.200q, %.200q, %.200q", s.id, a, inTagged[s.id], inArrays[s.id], inLines[s.id])
		}
		i, _ := strconv.Atoi(s.id[strings.LastIndexByte(s.id, '-')+1:])
		if text := nasty[i]; utf8.ValidString(text) && strings.HasPrefix(s.id, "value") {
			want, _ := json.Marshal(map[string]string{"id": s.id, "text": text})
			if inPlain[s.id] != string(want) {
				t.Errorf("%s became %.200q", s.id, inPlain[s.id])
			}
		}
	}
}

// jsonText escapes what JSON wants to be escaped and leaves bytes that are no
// UTF-8 as they are.
func jsonText(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < 0x20:
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
