package pipetest

import (
	"encoding/json"
	"fmt"
	"io"
)

type jsonReport struct {
	Passed  int          `json:"passed"`
	Failed  int          `json:"failed"`
	Results []jsonResult `json:"results"`
}

type jsonResult struct {
	File     string        `json:"file"`
	Line     int           `json:"line,omitempty"`
	Name     string        `json:"name,omitempty"`
	Status   string        `json:"status"` // passed, failed or error
	Seconds  float64       `json:"seconds"`
	Error    string        `json:"error,omitempty"`
	Problems []string      `json:"problems,omitempty"`
	Notes    []string      `json:"notes,omitempty"`
	Hints    []string      `json:"hints,omitempty"`
	Failures []jsonFailure `json:"failures,omitempty"`
	Outputs  []jsonOutput  `json:"outputs,omitempty"`
	Log      string        `json:"log,omitempty"`
}

type jsonFailure struct {
	Output  string     `json:"output"`
	Line    int        `json:"line"`
	Message string     `json:"message"`
	Diff    []jsonLine `json:"diff,omitempty"`
}

type jsonLine struct {
	Op    string `json:"op"` // same, expected, actual or note
	Field string `json:"field,omitempty"`
	Text  string `json:"text"`
}

type jsonOutput struct {
	Output string      `json:"output"`
	Name   string      `json:"name"`
	Events []jsonEvent `json:"events"`
}

type jsonEvent struct {
	Tag      string          `json:"tag"`
	Time     string          `json:"time"`
	Metadata json.RawMessage `json:"metadata,omitempty"`
	Record   json.RawMessage `json:"record"`
}

// WriteJSON writes the outcomes for other programs, with all that has arrived.
func WriteJSON(w io.Writer, outcomes []Outcome) error {
	rep := jsonReport{Results: []jsonResult{}}
	for _, o := range outcomes {
		if o.Problems.HasErrors() {
			rep.Failed++
			rep.Results = append(rep.Results, jsonResult{File: o.Path, Status: "error", Error: "the test file is refused", Problems: problemTexts(o)})
		}
		for _, res := range o.Results {
			if res.Passed() {
				rep.Passed++
			} else {
				rep.Failed++
			}
			rep.Results = append(rep.Results, jsonOf(o.Path, res))
		}
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(rep); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return nil
}

func problemTexts(o Outcome) []string {
	var out []string
	for _, p := range o.Problems {
		out = append(out, p.Error())
	}
	return out
}

func jsonOf(path string, res *Result) jsonResult {
	out := jsonResult{File: path, Line: res.Test.Pos.Line, Name: res.Test.Name, Status: "passed", Seconds: res.Duration.Seconds(), Notes: res.Notes, Hints: res.Hints, Log: res.Log}
	for _, p := range res.Problems {
		out.Problems = append(out.Problems, p.Severity.String()+": "+p.Error())
	}
	switch {
	case res.Err != nil:
		out.Status, out.Error = "error", res.Err.Error()
	case len(res.Failures) > 0:
		out.Status = "failed"
	}
	for _, f := range res.Failures {
		jf := jsonFailure{Output: f.Output, Line: f.Pos.Line, Message: f.Message}
		for _, l := range f.Lines {
			op := map[Op]string{Same: "same", Expected: "expected", Actual: "actual", Heading: "note"}[l.Op]
			jf.Diff = append(jf.Diff, jsonLine{op, l.Path, l.Text})
		}
		out.Failures = append(out.Failures, jf)
	}
	for _, o := range res.Outputs {
		jo := jsonOutput{Output: o.ID, Name: o.Name, Events: []jsonEvent{}}
		for _, ev := range o.Events {
			je := jsonEvent{Tag: ev.Tag, Time: formatTime(ev.Time), Record: json.RawMessage(show(ev.Record))}
			if len(ev.Meta) > 1 {
				je.Metadata = json.RawMessage(show(ev.Meta))
			}
			jo.Events = append(jo.Events, je)
		}
		out.Outputs = append(out.Outputs, jo)
	}
	return out
}
