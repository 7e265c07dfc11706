package wire

import (
	"encoding/json"
	"fmt"
	"strings"
)

// kind says how the bodies of one protocol are read. It is made anew for each
// listener of a case and may keep state. Read gets a body without its content
// encoding, sets events (or text) of x, and notes in x.call what else counts.
type kind interface {
	read(x *exchange, m *message, body []byte) error
}

// answerer is a kind with an answer of its own for a request that succeeds.
// It is called from several goroutines.
type answerer interface {
	answer(m *message, r reply) (answer, error)
}

// answer is what an HTTP server sends back.
type answer struct {
	status  int
	header  map[string]string
	body    []byte
	refused []int // positions of the events that it refuses
}

// newKind makes the kind of that name; some may depend on the case.
func newKind(name string, _ *testCase) (kind, error) {
	switch name {
	case "", "raw", "forward": // forward messages need no further reading
		return reading(readRaw), nil
	case "json":
		return reading(readJSON), nil
	case "ndjson":
		return reading(readNDJSON), nil
	case "jsonseq":
		return reading(readJSONSeq), nil
	case "lines":
		return reading(readLines), nil
	case "msgpack":
		return reading(readMsgpack), nil
	}
	return nil, fmt.Errorf("case.json: unknown kind %q", name)
}

// reading is a kind without state or answers.
type reading func(x *exchange, m *message, body []byte) error

func (f reading) read(x *exchange, m *message, body []byte) error { return f(x, m, body) }

// readRaw takes a request's body as a part of the call, and what came over a
// connection or in a datagram as one event.
func readRaw(x *exchange, m *message, body []byte) error {
	text := decodeText(body)
	if !m.http() {
		x.events = []any{map[string]any{"text": text}}
	} else if text != "" {
		x.call["body"] = jsonOrText(text)
	}
	return nil
}

// readJSON reads an array of events, or any other value as part of the call.
func readJSON(x *exchange, _ *message, body []byte) error {
	v, err := decodeJSON(decodeText(body))
	if err != nil {
		return err
	}
	if list, ok := v.([]any); ok {
		x.events = list
	} else {
		x.call["body"] = v
	}
	return nil
}

func readJSONSeq(x *exchange, _ *message, body []byte) (err error) {
	x.events, err = decodeJSONSeq(decodeText(body))
	return err
}

func readNDJSON(x *exchange, m *message, body []byte) error {
	if err := readJSONSeq(x, m, body); err != nil {
		return err
	}
	if strings.Count(string(body), "\n") < len(x.events)-1 {
		x.call["problem"] = "records are not on lines of their own"
	}
	return nil
}

// readLines takes each line as an event. Where there is no frame around them
// it counts whether the last one is ended.
func readLines(x *exchange, m *message, body []byte) error {
	if len(body) == 0 {
		x.events = []any{}
		return nil
	}
	text, ended := strings.CutSuffix(decodeText(body), "\n")
	x.events = textLines(text)
	if ended && !m.http() {
		x.call["end"] = "\n"
	}
	return nil
}

func readMsgpack(x *exchange, _ *message, body []byte) (err error) {
	x.events, err = decodeMsgpackSeq(body)
	return err
}

// success fills a scripted reply up to the answer that the kind gives.
func success(k kind, m *message, r reply) (answer, error) {
	a := answer{status: 200, header: map[string]string{}}
	if r.Status != nil {
		a.status = *r.Status
	}
	if k, ok := k.(answerer); ok && a.status < 300 {
		var err error
		if a, err = k.answer(m, r); err != nil {
			return answer{status: 400}, err
		}
	}
	if r.Error != "" {
		if r.Status == nil {
			a.status = 400
		}
		message := r.Message
		if message == "" {
			message = "test"
		}
		a.header["Content-Type"] = "application/x-amz-json-1.1"
		a.body, _ = json.Marshal(map[string]string{"__type": r.Error, "message": message})
	}
	if r.Body != nil {
		a.body = r.Body
		var text string
		if json.Unmarshal(r.Body, &text) == nil {
			a.body = []byte(text)
		}
	}
	for k, v := range r.Headers {
		a.header[k] = v
	}
	for _, k := range r.DropHeaders {
		delete(a.header, k)
	}
	return a, nil
}
