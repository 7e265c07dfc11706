package pipetest

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/option"
)

// Outcome is what became of one test file: its results, or why it was refused.
type Outcome struct {
	Path    string
	Results []*Result
	// Problems are what is wrong with a file that was refused.
	Problems option.Problems
	Sources  *config.Sources
}

// The elements of JUnit's XML as CI systems read them; there is no standard.
type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Time     string       `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name      string      `xml:"name,attr"`
	Tests     int         `xml:"tests,attr"`
	Failures  int         `xml:"failures,attr"`
	Errors    int         `xml:"errors,attr"`
	Skipped   int         `xml:"skipped,attr"`
	Time      string      `xml:"time,attr"`
	Timestamp string      `xml:"timestamp,attr,omitempty"`
	Cases     []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	File    string        `xml:"file,attr"`
	Line    int           `xml:"line,attr,omitempty"`
	Time    string        `xml:"time,attr"`
	Failure *junitProblem `xml:"failure"`
	Error   *junitProblem `xml:"error"`
	Out     string        `xml:"system-out,omitempty"`
}

type junitProblem struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

// WriteJUnit writes the outcomes as XML for CI systems.
func WriteJUnit(w io.Writer, outcomes []Outcome) error {
	all := junitSuites{Name: "kagari test"}
	var total time.Duration
	for _, o := range outcomes {
		s := junitSuite{Name: o.Path}
		var took time.Duration
		if o.Problems.HasErrors() {
			s.Tests, s.Errors = 1, 1
			s.Cases = append(s.Cases, junitCase{Name: o.Path, Class: o.Path, File: o.Path, Time: seconds(0),
				Error: &junitProblem{"the test file is refused", "file", o.Problems.Err().Error()}})
		}
		for i, res := range o.Results {
			if i == 0 {
				s.Timestamp = res.began.UTC().Format("2006-01-02T15:04:05")
			}
			took += res.Duration
			c := junitCase{Name: res.Test.Name, Class: o.Path, File: o.Path, Line: res.Test.Pos.Line, Time: seconds(res.Duration), Out: res.Log}
			s.Tests++
			switch {
			case res.Err != nil:
				s.Errors++
				text := res.Err.Error()
				if err := res.Problems.Err(); err != nil {
					text = err.Error()
				}
				c.Error = &junitProblem{message(res), "error", text}
			case len(res.Failures) > 0:
				s.Failures++
				c.Failure = &junitProblem{res.Failures[0].String(), "expectation", failureText(res)}
			}
			s.Cases = append(s.Cases, c)
		}
		s.Time = seconds(took)
		total += took
		all.Tests, all.Failures, all.Errors = all.Tests+s.Tests, all.Failures+s.Failures, all.Errors+s.Errors
		all.Suites = append(all.Suites, s)
	}
	all.Time = seconds(total)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return fmt.Errorf("write JUnit report: %w", err)
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return fmt.Errorf("write JUnit report: %w", err)
	}
	if _, err := io.WriteString(w, "\n"); err != nil {
		return fmt.Errorf("write JUnit report: %w", err)
	}
	return nil
}

// failureText is the failures without colours.
func failureText(res *Result) string {
	var b strings.Builder
	r := &Reporter{W: &b}
	for _, f := range res.Failures {
		fmt.Fprintf(&b, "%s (line %d)\n", f, f.Pos.Line)
		r.lines(f.Lines)
	}
	return b.String()
}
