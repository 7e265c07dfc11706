package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// testCase is case.json. Times are in seconds.
type testCase struct {
	Description string `json:"description"`

	listenerSpec                // the one listener, unless Listen is set
	Listen       []listenerSpec `json:"listen"`

	Files  map[string]fileSpec `json:"files"` // made before the start
	Append *struct {
		At    *float64            `json:"at"` // 1.5 unless given
		Files map[string]fileSpec `json:"files"`
	} `json:"append"` // added to files while the program runs

	Env     map[string]string `json:"env"`
	AWS     bool              `json:"aws"`     // give the program test credentials
	Secrets map[string]string `json:"secrets"` // of further access keys

	Headers       []string    `json:"headers"`        // further headers to compare
	Kinds         [][2]string `json:"kinds"`          // pattern of the target, kind of its bodies
	Batching      string      `json:"batching"`       // "exact": requests are compared one by one
	Order         string      `json:"order"`          // "any": of calls and events; "events": of events
	Compare       string      `json:"compare"`        // "delivered" or "at_least", see delivered
	Mask          []string    `json:"mask"`           // keys whose values do not count
	Subst         [][2]string `json:"subst"`          // pattern, replacement in all strings
	Unique        []string    `json:"unique"`         // listeners whose repeated calls count once
	SameListeners bool        `json:"same_listeners"` // which listener was called does not matter
	PartitionKeys bool        `json:"partition_keys"` // partition keys count unless random

	MinRequests *int     `json:"min_requests"` // to wait for, 1 unless given
	Settle      *float64 `json:"settle"`       // quiet time after them, 2 unless given
	Timeout     *float64 `json:"timeout"`      // 20 unless given
	StopAfter   float64  `json:"stop_after"`   // instead of the three above
	ExitWait    *float64 `json:"exit_wait"`    // from SIGTERM to SIGKILL, 8 unless given
	MayExit     bool     `json:"may_exit"`     // the program may end by itself

	Requires []string `json:"requires"`  // programs, or "root443"
	Quirk    string   `json:"quirk"`     // recorded behaviour that looks like an accident
	GoPlugin string   `json:"go_plugin"` // recorded with this separate Go plugin
}

// listenerSpec is one server to play.
type listenerSpec struct {
	Name    string          `json:"name"`  // of the variable with its port, PORT unless given
	Proto   string          `json:"proto"` // http unless given
	Kind    string          `json:"kind"`  // how bodies are read
	Port    int             `json:"port"`
	Addr    string          `json:"addr"`
	Replies []rule          `json:"replies"`
	Options handshakeSpec   `json:"options"` // of the forward protocol
	State   json.RawMessage `json:"state"`   // what a modelled service holds at the start
}

// handshakeSpec makes a forward server ask for authentication.
type handshakeSpec struct {
	SharedKey string            `json:"shared_key"`
	Users     map[string]string `json:"users"` // passwords by name
}

// rule is a scripted reply: those requests that When fits get Reply, each
// entry once, in order.
type rule struct {
	When   condition `json:"when"`
	Reply  []reply   `json:"reply"`
	Repeat bool      `json:"repeat"` // the last entry is used for ever
}

// condition is what a request has to look like; what is empty is not asked.
type condition struct {
	Target string `json:"target"` // last part of X-Amz-Target
	Method string `json:"method"`
	Path   string `json:"path"` // pattern found in path and query
	Body   string `json:"body"` // pattern found in the decompressed body
}

// reply is how a request is answered; what is not set is as in a success.
type reply struct {
	Status      *int              `json:"status"`
	Reason      string            `json:"reason"` // accepted, not sent
	Headers     map[string]string `json:"headers"`
	DropHeaders []string          `json:"drop_headers"`
	Body        json.RawMessage   `json:"body"`  // a string is sent as it is, anything else as JSON
	Error       string            `json:"error"` // an AWS error code
	Message     string            `json:"message"`
	Failed      []int             `json:"failed"` // positions refused
	Code        string            `json:"code"`   // error code of those
	Items       []int             `json:"items"`  // statuses in a bulk reply, cycled
	Delay       float64           `json:"delay"`  // seconds before the answer
	Drop        bool              `json:"drop"`   // close without an answer
	Ack         string            `json:"ack"`    // of forward: wrong, none or close
}

// listeners gives all servers of the case, with defaults filled in.
func (c *testCase) listeners() []listenerSpec {
	all := c.Listen
	if len(all) == 0 {
		all = []listenerSpec{c.listenerSpec}
	}
	for i := range all {
		l := &all[i]
		if l.Name == "" {
			l.Name = "PORT"
		}
		if l.Proto == "" {
			l.Proto = "http"
		}
		if l.Addr == "" {
			l.Addr = "127.0.0.1"
		}
	}
	return all
}

// loadCase reads case.json and the requests of expected.json.
func loadCase(t *testing.T, dir string) (*testCase, []any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "case.json"))
	if err != nil {
		t.Fatal(err)
	}
	c := new(testCase)
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields() // what the runner does not know, it cannot judge
	if err := d.Decode(c); err != nil {
		t.Fatalf("read case.json: %v", err)
	}
	if b, err = os.ReadFile(filepath.Join(dir, "expected.json")); err != nil {
		t.Fatal(err)
	}
	v, err := decodeJSON(string(b))
	if err != nil {
		t.Fatalf("read expected.json: %v", err)
	}
	doc, _ := v.(map[string]any)
	requests, ok := doc["requests"].([]any)
	if !ok {
		t.Fatal("expected.json has no list of requests")
	}
	return c, requests
}

// fileSpec is the content of a file. It is a text, {"lines": [...]} with texts
// or JSON records, {"repeat": n, "line": "... %d %P", "pad": n} or {"hex": "..."}.
type fileSpec struct {
	content []byte
}

func (f *fileSpec) UnmarshalJSON(b []byte) error {
	if b[0] == '"' {
		var s string
		err := json.Unmarshal(b, &s)
		f.content = []byte(s)
		return err
	}
	var spec struct {
		Hex    *string           `json:"hex"`
		Lines  []json.RawMessage `json:"lines"`
		Repeat int               `json:"repeat"`
		Line   string            `json:"line"`
		Pad    int               `json:"pad"`
	}
	if err := json.Unmarshal(b, &spec); err != nil {
		return err
	}
	var out strings.Builder
	switch {
	case spec.Hex != nil:
		var err error
		f.content, err = hex.DecodeString(strings.ReplaceAll(*spec.Hex, " ", ""))
		return err
	case spec.Lines != nil:
		for _, raw := range spec.Lines {
			line, err := lineText(raw)
			if err != nil {
				return err
			}
			out.WriteString(strings.TrimSuffix(line, "\n") + "\n")
		}
	default:
		pad := strings.Repeat("x", spec.Pad)
		for i := range spec.Repeat {
			out.WriteString(strings.NewReplacer("%d", strconv.Itoa(i), "%P", pad).Replace(spec.Line) + "\n")
		}
	}
	f.content = []byte(out.String())
	return nil
}

// lineText is a text itself, or a record in the spelling that the cases were
// recorded with, which matters where a line is not parsed.
func lineText(raw json.RawMessage) (string, error) {
	if raw[0] == '"' {
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err
	}
	return respell(raw)
}

var variable = regexp.MustCompile(`\$\{(\w+)\}`)

// expand replaces the variables in s that env knows.
func expand(s string, env map[string]string) string {
	return variable.ReplaceAllStringFunc(s, func(m string) string {
		if v, ok := env[m[2:len(m)-1]]; ok {
			return v
		}
		return m
	})
}

// seconds is a time of case.json, or what counts where it has none.
func seconds(s *float64, otherwise float64) time.Duration {
	if s == nil {
		s = &otherwise
	}
	return time.Duration(*s * float64(time.Second))
}

// pattern is a regular expression of case.json and what belongs to it.
type pattern struct {
	*regexp.Regexp
	word string // a replacement or kind
}

func patterns(pairs [][2]string) ([]pattern, error) {
	var out []pattern
	for _, p := range pairs {
		re, err := regexp.Compile(p[0])
		if err != nil {
			return nil, fmt.Errorf("read case.json: %w", err)
		}
		out = append(out, pattern{re, p[1]})
	}
	return out, nil
}

func TestFileSpec(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		var spec fileSpec
		if err := json.Unmarshal([]byte(in), &spec); err != nil || string(spec.content) != want {
			t.Errorf("%s gives %q (%v), want %q", in, spec.content, err, want)
		}
	}
	f(`"text"`, "text")
	f(`{"hex": "00 ff"}`, "\x00\xff")
	f(`{"lines": ["a", "b\n", {"z":1,"a":"ü"}]}`, "a\nb\n{\"z\": 1, \"a\": \"\\u00fc\"}\n")
	f(`{"repeat": 2, "line": "%d-%P", "pad": 3}`, "0-xxx\n1-xxx\n")
}
