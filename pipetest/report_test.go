package pipetest_test

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/pipetest"
)

// outcomes runs one file that passes and fails, and reads one that is refused.
func outcomes(t *testing.T) []pipetest.Outcome {
	t.Helper()
	_, _, results := runFile(t, "testdata/run/diff/app.test.yaml", false)
	_, _, retag := runFile(t, "testdata/run/retag/app.test.yaml", false)
	f, src, ps := pipetest.ReadFile("testdata/bad/syntax.test.yaml", "", 0)
	if f != nil {
		t.Fatal("a bad file was taken")
	}
	return []pipetest.Outcome{
		{Path: "a.test.yaml", Results: results},
		{Path: "b.test.yaml", Results: retag},
		{Path: "c.test.yaml", Sources: src, Problems: ps},
	}
}

// TestJUnit reads the report as the JUnit schema of Jenkins describes it:
// counts that are right at each level, and at most one of failure and error.
func TestJUnit(t *testing.T) {
	var b strings.Builder
	if err := pipetest.WriteJUnit(&b, outcomes(t)); err != nil {
		t.Fatal(err)
	}
	type problem struct {
		Message *string `xml:"message,attr"`
		Type    *string `xml:"type,attr"`
		Text    string  `xml:",chardata"`
	}
	type counts struct {
		Tests    int     `xml:"tests,attr"`
		Failures int     `xml:"failures,attr"`
		Errors   int     `xml:"errors,attr"`
		Time     float64 `xml:"time,attr"`
		Name     string  `xml:"name,attr"`
	}
	var got struct {
		XMLName xml.Name `xml:"testsuites"`
		counts
		Suites []struct {
			counts
			Skipped   *int   `xml:"skipped,attr"`
			Timestamp string `xml:"timestamp,attr"`
			Cases     []struct {
				Name    string    `xml:"name,attr"`
				Class   string    `xml:"classname,attr"`
				Time    *float64  `xml:"time,attr"`
				Failure []problem `xml:"failure"`
				Error   []problem `xml:"error"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(b.String()), &got); err != nil {
		t.Fatal(err)
	}
	var all counts
	for _, s := range got.Suites {
		failures, errs := 0, 0
		for _, c := range s.Cases {
			if c.Name == "" || c.Class != s.Name || c.Time == nil || len(c.Failure)+len(c.Error) > 1 {
				t.Errorf("bad case %+v", c)
			}
			failures, errs = failures+len(c.Failure), errs+len(c.Error)
			for _, p := range append(c.Failure, c.Error...) {
				if p.Message == nil || *p.Message == "" || p.Type == nil || p.Text == "" {
					t.Errorf("%s: bad problem %+v", c.Name, p)
				}
			}
		}
		if s.Tests != len(s.Cases) || s.Failures != failures || s.Errors != errs || s.Skipped == nil || s.Name == "" {
			t.Errorf("the counts of %s are wrong: %+v", s.Name, s.counts)
		}
		all.Tests, all.Failures, all.Errors = all.Tests+s.Tests, all.Failures+s.Failures, all.Errors+s.Errors
	}
	if len(got.Suites) != 3 || all.Tests != 18 || got.Tests != all.Tests || got.Failures != all.Failures || got.Errors != all.Errors {
		t.Errorf("the counts are wrong: %+v, suites have %+v", got.counts, all)
	}
	if !strings.HasPrefix(b.String(), xml.Header) {
		t.Error("there is no XML declaration")
	}
}

func TestJSON(t *testing.T) {
	var b strings.Builder
	if err := pipetest.WriteJSON(&b, outcomes(t)); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Passed, Failed int
		Results        []struct {
			File, Name, Status, Error string
			Failures                  []struct{ Output, Message string }
			Outputs                   []struct {
				Output, Name string
				Events       []struct {
					Tag    string
					Record map[string]any
				}
			}
		}
	}
	dec := json.NewDecoder(strings.NewReader(b.String()))
	if err := dec.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if got.Passed != 3 || got.Failed != 15 || len(got.Results) != 18 {
		t.Errorf("%d passed, %d failed, %d results", got.Passed, got.Failed, len(got.Results))
	}
	status := map[string]int{}
	for _, r := range got.Results {
		status[r.Status]++
		if r.Status == "failed" && len(r.Failures) == 0 || r.Status == "error" && r.Error == "" {
			t.Errorf("%s says nothing", r.Name)
		}
	}
	if status["passed"] != 3 || status["failed"] != 10 || status["error"] != 5 {
		t.Errorf("%v", status)
	}
	first := got.Results[0].Outputs[0]
	if first.Output != "pager" || first.Name != "http.0" || first.Events[0].Record["msg"] != "boom" || first.Events[0].Tag != "app.web" {
		t.Errorf("what arrived: %+v", first)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestReportsSayThatTheyCannotBeWritten(t *testing.T) {
	if err := pipetest.WriteJUnit(brokenWriter{}, nil); err == nil {
		t.Error("JUnit: no error")
	}
	if err := pipetest.WriteJSON(brokenWriter{}, nil); err == nil {
		t.Error("JSON: no error")
	}
}

// TestColours: they are there if asked for, and then in pairs.
func TestColours(t *testing.T) {
	f, _, ps := pipetest.ReadFile("testdata/run/diff/app.test.yaml", "", 0)
	if f == nil {
		t.Fatal(ps.Err())
	}
	_, _, results := runFile(t, f.Path, false)
	for _, color := range []bool{false, true} {
		var b strings.Builder
		rep := &pipetest.Reporter{W: &b, Color: color, Verbose: true}
		for _, res := range results {
			rep.Report(f, res)
		}
		rep.Summary()
		escapes, ends := strings.Count(b.String(), "\x1b["), strings.Count(b.String(), "\x1b[0m")
		if escapes != 2*ends || color != (escapes > 0) {
			t.Errorf("color %v: %d escapes, %d ends", color, escapes, ends)
		}
	}
}
