package conformance

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// meta is case.json.
type meta struct {
	About        string             `json:"about"`
	Compare      string             `json:"compare"`
	Time         string             `json:"time"`
	Keys         string             `json:"keys"`
	Outputs      []string           `json:"outputs"`
	Raw          []string           `json:"raw"`
	Stdout       string             `json:"stdout"`
	StdoutFilter string             `json:"stdout_filter"`
	StdinAfter   *float64           `json:"stdin_after_s"`
	Env          map[string]*string `json:"env"`
	ExpectExit   string             `json:"expect_exit"`
	Mask         map[string]string  `json:"mask"`
	CheckReplies bool               `json:"check_replies"`
	Runs         []run              `json:"runs"`
	run
}

// run is one start of the program; the fields of the case itself count where
// a run has none.
type run struct {
	Config json.RawMessage `json:"config"` // a name, or null for none
	Args   []string        `json:"args"`
	MinS   *float64        `json:"min_s"`
	MaxS   *float64        `json:"max_s"`
	Lines  *int            `json:"lines"`
	Steps  []step          `json:"steps"`
	After  []step          `json:"after"`
}

// step is one thing done while the program runs; exactly one kind is set.
type step struct {
	AfterS    float64  `json:"after_s"`
	WhenLines int      `json:"when_lines"`
	Append    *payload `json:"append"`
	Write     *payload `json:"write"`
	Rename    *fromTo  `json:"rename"`
	Copy      *fromTo  `json:"copy"`
	Truncate  *struct {
		File string `json:"file"`
		Size int64  `json:"size"`
	} `json:"truncate"`
	Remove *payload `json:"remove"`
	Mkdir  *struct {
		Dir string `json:"dir"`
	} `json:"mkdir"`
	TCPSend     *payload `json:"tcp_send"`
	ForwardSend *payload `json:"forward_send"`
	UDPSend     *payload `json:"udp_send"`
	UnixSend    *payload `json:"unix_send"`
	HTTPPost    *request `json:"http_post"`
}

type fromTo struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// payload is bytes and where they go.
type payload struct {
	File        string  `json:"file"`
	Port        string  `json:"port"`
	Path        string  `json:"path"`
	Text        string  `json:"text"`
	Base64      []byte  `json:"base64"`
	Split       int     `json:"split"`
	SplitPauseS float64 `json:"split_pause_s"`
	Reply       bool    `json:"reply"`
	Dgram       bool    `json:"dgram"`
	Conn        string  `json:"conn"`
	Close       bool    `json:"close"`
}

func (p *payload) bytes() []byte {
	if p.Base64 != nil {
		return p.Base64
	}
	return []byte(p.Text)
}

type request struct {
	Port       string            `json:"port"`
	Method     string            `json:"method"`
	Path       string            `json:"path"`
	Headers    map[string]string `json:"headers"`
	Body       string            `json:"body"`
	BodyBase64 []byte            `json:"body_base64"`
	KeepBody   bool              `json:"keep_body"`
}

// object is a JSON object whose keys keep their order and repetitions.
type object []member

type member struct {
	key string
	val any
}

// decode reads JSON with objects as object and numbers as their text.
func decode(text string) (any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	v, err := value(d)
	if err != nil {
		return nil, err
	}
	if d.More() {
		return nil, fmt.Errorf("more than one value")
	}
	return v, nil
}

func value(d *json.Decoder) (any, error) {
	tok, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch tok {
	case json.Delim('{'):
		o := object{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := value(d)
			if err != nil {
				return nil, err
			}
			o = append(o, member{key.(string), v})
		}
		_, err := d.Token()
		return o, err
	case json.Delim('['):
		a := []any{}
		for d.More() {
			v, err := value(d)
			if err != nil {
				return nil, err
			}
			a = append(a, v)
		}
		_, err := d.Token()
		return a, err
	}
	return tok, nil
}

// dump writes a decoded value as text that is equal for equal values. Whole
// numbers and floats stay different.
func dump(b *strings.Builder, v any, sorted bool) {
	switch v := v.(type) {
	case object:
		o := v
		if sorted {
			o = sortMembers(o)
		}
		b.WriteByte('{')
		for i, m := range o {
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(b, "%q: ", m.key)
			dump(b, m.val, sorted)
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, x := range v {
			if i > 0 {
				b.WriteString(", ")
			}
			dump(b, x, sorted)
		}
		b.WriteByte(']')
	case json.Number:
		b.WriteString(number(v.String()))
	case string:
		fmt.Fprintf(b, "%q", v)
	default:
		fmt.Fprint(b, v)
	}
}

// number gives floats one spelling.
func number(s string) string {
	if !strings.ContainsAny(s, ".eE") {
		return s
	}
	var f float64
	if _, err := fmt.Sscan(s, &f); err != nil {
		return s
	}
	s = fmt.Sprint(f)
	if !strings.ContainsAny(s, ".eIN") {
		s += ".0"
	}
	return s
}

func sortMembers(o object) object {
	o = append(object(nil), o...)
	for i := 1; i < len(o); i++ {
		for j := i; j > 0 && o[j].key < o[j-1].key; j-- {
			o[j], o[j-1] = o[j-1], o[j]
		}
	}
	return o
}

// mapStrings replaces every string and key.
func mapStrings(v any, f func(string) string) any {
	switch v := v.(type) {
	case object:
		o := object{}
		for _, m := range v {
			o = append(o, member{f(m.key), mapStrings(m.val, f)})
		}
		return o
	case []any:
		a := []any{}
		for _, x := range v {
			a = append(a, mapStrings(x, f))
		}
		return a
	case string:
		return f(v)
	}
	return v
}

// expectedLines reads a file of expectations; a missing one is empty.
func expectedLines(t *testing.T, path string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return lines(string(b))
}

func lines(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(s, "\n"), "\n")
}

var variable = regexp.MustCompile(`\$\{([A-Za-z0-9_]+)\}`)

// loadMeta reads a case.
func loadMeta(t *testing.T, dir string) meta {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "case.json"))
	if err != nil {
		t.Fatal(err)
	}
	m := meta{Outputs: []string{"out.log"}, Compare: "ordered", Time: "exact"}
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatalf("read case.json: %v", err)
	}
	return m
}
