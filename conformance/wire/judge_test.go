package wire

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// exchange is one message in comparable form.
type exchange struct {
	listener string
	call     map[string]any // what was asked
	events   []any          // nil when what was asked holds no events
	text     *string        // instead of events: text whose lines are the events
	refused  []int          // positions of events that the reply refused
}

// judge turns what the servers of one case received into the form of
// expected.json.
type judge struct {
	c     *testCase
	specs map[string]listenerSpec // by name
	kinds map[string]kind         // by listener and name, as kinds may keep state
	paths []pattern               // kinds that depend on the path
	mask  masking
}

func newJudge(c *testCase) (*judge, error) {
	j := &judge{
		c: c, specs: map[string]listenerSpec{}, kinds: map[string]kind{},
		mask: masking{keys: c.Mask, now: time.Now()},
	}
	for _, spec := range c.listeners() {
		j.specs[spec.Name] = spec
	}
	var err error
	if j.paths, err = patterns(c.Kinds); err != nil {
		return nil, err
	}
	if j.mask.subst, err = patterns(c.Subst); err != nil {
		return nil, err
	}
	return j, nil
}

// calls is the whole way from messages to the requests of expected.json.
func (j *judge) calls(messages []*message) ([]any, error) {
	var all []*exchange
	for _, m := range messages {
		x, err := j.exchange(m)
		if err != nil {
			return nil, err
		}
		if x == nil {
			continue
		}
		if x.listener != "PORT" && !j.c.SameListeners && m.handshake == nil {
			x.call["listener"] = x.listener
		}
		x.call = j.mask.value(x.call).(map[string]any)
		all = append(all, x)
	}
	switch j.c.Compare {
	case "":
		return j.inOrder(all), nil
	case "delivered", "at_least":
		return j.delivered(all), nil
	}
	return nil, fmt.Errorf("case.json: cannot compare %q", j.c.Compare)
}

// exchange reads a message; there is none for an empty one.
func (j *judge) exchange(m *message) (*exchange, error) {
	name := j.specs[m.listener].Kind
	for _, p := range j.paths {
		if p.MatchString(m.target) {
			name = p.word
		}
	}
	k := j.kinds[m.listener+" "+name]
	if k == nil {
		var err error
		if k, err = newKind(name, j.c); err != nil {
			return nil, err
		}
		j.kinds[m.listener+" "+name] = k
	}
	x := &exchange{listener: m.listener, refused: m.refused}
	switch {
	case m.http():
		j.request(x, m, k, name)
	case m.handshake != nil:
		x.call = map[string]any{"handshake": m.handshake}
	case m.proto == "forward":
		forwarded(x, m)
	case len(m.raw) == 0:
		return nil, nil
	default:
		streamed(x, m, k, name)
	}
	if x.call == nil { // a part of something bigger
		return nil, nil
	}
	return x, nil
}

// inOrder joins neighbours that differ only in their events.
func (j *judge) inOrder(all []*exchange) []any {
	anyOrder := j.c.Order == "any"
	var out []*exchange
	for _, x := range all {
		key := encode(x.call)
		same := func(o *exchange) bool { return encode(o.call) == key }
		if slices.Contains(j.c.Unique, x.listener) && slices.ContainsFunc(out, same) {
			continue
		}
		earlier := out
		if !anyOrder {
			earlier = out[max(0, len(out)-1):]
		}
		if o := joinable(earlier, x, same); o != nil && j.c.Batching != "exact" {
			o.join(x)
		} else {
			out = append(out, x)
		}
	}
	for _, x := range out {
		if ended := x.cut(); !ended {
			x.call["end"] = "no newline"
		}
		for i, e := range x.events {
			x.events[i] = j.mask.value(e)
		}
		if j.c.Order != "" {
			slices.SortStableFunc(x.events, byText)
		}
	}
	if anyOrder {
		slices.SortStableFunc(out, func(a, b *exchange) int { return strings.Compare(encode(a.call), encode(b.call)) })
	}
	res := []any{}
	for _, x := range out {
		r := map[string]any{"call": shorten(x.call)}
		if x.events != nil {
			r["events"] = summary(x.events)
		}
		res = append(res, r)
	}
	return res
}

func byText(a, b any) int { return strings.Compare(encode(a), encode(b)) }

// joinable finds the last of those that are the same call as x and can take
// its events.
func joinable(earlier []*exchange, x *exchange, same func(*exchange) bool) *exchange {
	if x.events == nil && x.text == nil {
		return nil
	}
	for _, o := range slices.Backward(earlier) {
		if (o.events == nil) == (x.events == nil) && (o.text == nil) == (x.text == nil) && same(o) {
			return o
		}
	}
	return nil
}

func (x *exchange) join(next *exchange) {
	if x.text != nil {
		all := *x.text + *next.text
		x.text = &all
		return
	}
	x.events = append(x.events, next.events...)
}

// cut makes events of the lines of a text and tells whether its last line ends.
func (x *exchange) cut() (ended bool) {
	if x.text == nil {
		return true
	}
	text, ended := strings.CutSuffix(*x.text, "\n")
	x.events, x.text = textLines(text), nil
	return ended
}

// textLines reads each line as JSON or text.
func textLines(text string) []any {
	out := []any{}
	for line := range strings.SplitSeq(text, "\n") {
		out = append(out, jsonOrText(line))
	}
	return out
}

// delivered says which distinct events a server accepted at least once and
// which it only ever refused. How often each was sent does not matter.
func (j *judge) delivered(all []*exchange) []any {
	type group struct {
		call    map[string]any
		ok, bad map[string]any
	}
	groups, order := map[string]*group{}, []string{}
	for _, x := range all {
		x.cut()
		status := 200
		if n, ok := x.call["reply"]; ok {
			delete(x.call, "reply")
			_, _ = fmt.Sscan(fmt.Sprint(n), &status) // forward's words leave it at success
		}
		key := encode(x.call)
		g := groups[key]
		if g == nil {
			g = &group{call: x.call, ok: map[string]any{}, bad: map[string]any{}}
			groups[key] = g
			order = append(order, key)
		}
		for i, e := range x.events {
			e = shorten(j.mask.value(e))
			to := g.ok
			if status >= 300 || slices.Contains(x.refused, i) {
				to = g.bad
			}
			to[encode(e)] = e
		}
	}
	res := []any{}
	for _, key := range order {
		g := groups[key]
		r := map[string]any{"call": shorten(g.call)}
		if len(g.ok)+len(g.bad) > 0 {
			r["accepted"] = summary(sortedValues(g.ok))
		}
		for k := range g.ok {
			delete(g.bad, k)
		}
		if len(g.bad) > 0 {
			r["never_accepted"] = summary(sortedValues(g.bad))
		}
		res = append(res, r)
	}
	return res
}

func sortedValues(m map[string]any) []any {
	out := []any{}
	for _, k := range sortedKeys(m) {
		out = append(out, m[k])
	}
	return out
}

// excuse is for "at_least": events that the recorded client lost may have been
// delivered, so what came moves from one list of the expectation to the other.
func excuse(want, got []any) {
	for i := range min(len(want), len(got)) {
		w, _ := want[i].(map[string]any)
		g, _ := got[i].(map[string]any)
		lost, _ := w["never_accepted"].([]any)
		came, _ := g["accepted"].([]any)
		accepted, ok := w["accepted"].([]any)
		if !ok {
			continue
		}
		lost = slices.DeleteFunc(lost, func(e any) bool {
			delivered := slices.ContainsFunc(came, func(c any) bool { return encode(c) == encode(e) })
			if delivered {
				accepted = append(accepted, e)
			}
			return delivered
		})
		slices.SortFunc(accepted, byText)
		w["accepted"] = accepted
		delete(w, "never_accepted")
		if len(lost) > 0 {
			w["never_accepted"] = lost
		}
	}
}

// judged gives what the judge makes of bodies sent to one HTTP listener.
func judged(t *testing.T, meta string, messages ...*message) string {
	t.Helper()
	c := new(testCase)
	if err := json.Unmarshal([]byte(meta), c); err != nil {
		t.Fatal(err)
	}
	j, err := newJudge(c)
	if err != nil {
		t.Fatal(err)
	}
	calls, err := j.calls(messages)
	if err != nil {
		t.Fatal(err)
	}
	return encode(calls)
}

func post(path string, status int, body string) *message {
	return &message{listener: "PORT", proto: "http", method: "POST", target: path, status: status, raw: []byte(body), plain: []byte(body)}
}

func TestJoining(t *testing.T) {
	f := func(name, meta string, in []*message, want ...string) {
		t.Helper()
		var lines []string
		var calls []struct {
			Call struct {
				Path  string
				Reply int
			}
			Events, Accepted, Never []any
		}
		out := strings.ReplaceAll(judged(t, meta, in...), "never_accepted", "never")
		if err := json.Unmarshal([]byte(out), &calls); err != nil {
			t.Fatal(err)
		}
		for _, c := range calls {
			line := fmt.Sprint(c.Call.Path, " ", c.Events)
			if c.Accepted != nil {
				line = fmt.Sprint(c.Call.Path, " accepted ", c.Accepted, " never ", c.Never)
			}
			lines = append(lines, line)
		}
		if !slices.Equal(lines, want) {
			t.Errorf("%s:\n- %s\n+ %s", name, strings.Join(want, "\n- "), strings.Join(lines, "\n+ "))
		}
	}
	abc := []*message{post("/a", 200, "[1]"), post("/a", 200, "[2]"), post("/b", 200, "[3]"), post("/a", 200, "[4]")}
	f("neighbours are joined", `{"kind":"json"}`, abc, "/a [1 2]", "/b [3]", "/a [4]")
	f("not with exact batching", `{"kind":"json","batching":"exact"}`, abc, "/a [1]", "/a [2]", "/b [3]", "/a [4]")
	f("all that is equal is joined in any order", `{"kind":"json","order":"any"}`,
		[]*message{post("/b", 200, "[3]"), post("/a", 200, "[4]"), post("/b", 200, "[1]")}, "/a [4]", "/b [1 3]")
	f("events in any order leave the calls alone", `{"kind":"json","order":"events"}`,
		[]*message{post("/b", 200, "[3,1]"), post("/a", 200, "[2]")}, "/b [1 3]", "/a [2]")
	f("other answers are other calls", `{"kind":"json"}`,
		[]*message{post("/a", 500, "[1]"), post("/a", 200, "[1]")}, "/a [1]", "/a [1]")
	f("repeated calls of a unique listener count once", `{"listen":[{"name":"CREDS"}],"unique":["CREDS"]}`,
		[]*message{{listener: "CREDS", proto: "http", target: "/c"}, {listener: "CREDS", proto: "http", target: "/c"}}, "/c []")
	f("the kind can depend on the path", `{"kind":"json","kinds":[["^/lines","ndjson"]]}`,
		[]*message{post("/lines", 200, "1\n2\n"), post("/a", 200, "[3]")}, "/lines [1 2]", "/a [3]")
	f("delivered ignores how often", `{"kind":"json","compare":"delivered"}`,
		[]*message{post("/a", 500, "[1,2]"), post("/a", 200, "[2]"), post("/a", 200, "[2]")}, "/a accepted [2] never [1]")
}

func TestText(t *testing.T) {
	whole := "{\"a\":1}\nb\n"
	x, rest := exchange{call: map[string]any{}}, whole[4:]
	first := whole[:4]
	x.text = &first
	x.join(&exchange{text: &rest})
	if ended := x.cut(); !ended || encode(x.events) != `[{"json": {"a": 1}}, {"text": "b"}]` {
		t.Errorf("pieces of text became %s", encode(x.events))
	}
}

func TestExcuse(t *testing.T) {
	read := func(s string) []any {
		v, err := decodeJSON(s)
		if err != nil {
			t.Fatal(err)
		}
		return v.([]any)
	}
	want := read(`[{"accepted":[2],"never_accepted":[1,3]}]`)
	excuse(want, read(`[{"accepted":[1,2]}]`))
	if got := encode(want); got != `[{"accepted": [1, 2], "never_accepted": [3]}]` {
		t.Errorf("an event that the recorded client lost and this one delivered: %s", got)
	}
}
