package option

import (
	"fmt"
	"strings"
)

// Severity ranks a Problem.
type Severity uint8

// The severities. Only an Error stops a start; --strict turns a Warning into one.
const (
	Error Severity = iota
	Warning
	Advice
)

// String gives the word used in messages and JSON.
func (s Severity) String() string {
	return [...]string{"error", "warning", "advice"}[s]
}

// Problem is one finding about a configuration.
type Problem struct {
	Code     string // stable code such as "KG012", or empty
	Severity Severity
	Pos      Pos
	Section  string // such as "input tail", or empty
	Key      string // the option, or empty
	Message  string // what is wrong and what is allowed, without the place
	Fix      string // what to do, such as `did you mean "path"?`, or empty

	// Within, if not empty, is the text that the mistake is in, and Offset its
	// place there in bytes; Pos is where a value begins that the text is in. Who
	// has the files makes Pos the place of the mistake itself.
	Within string
	Offset int
	// Line is the text of the line of Pos, if that is in a file that is no
	// configuration.
	Line string
}

// Error gives the problem on one line, with its place in front.
func (p Problem) Error() string {
	var b strings.Builder
	if p.Pos != (Pos{}) {
		b.WriteString(p.Pos.String())
		b.WriteString(": ")
	}
	if p.Section != "" {
		b.WriteString(p.Section)
		b.WriteString(": ")
	}
	b.WriteString(p.Message)
	if p.Fix != "" {
		b.WriteString("; ")
		b.WriteString(p.Fix)
	}
	return b.String()
}

// Problems are findings in the order of their discovery.
type Problems []Problem

// HasErrors tells whether one of them is an error.
func (ps Problems) HasErrors() bool {
	for _, p := range ps {
		if p.Severity == Error {
			return true
		}
	}
	return false
}

// Err returns the errors among ps as one error, or nil.
func (ps Problems) Err() error {
	var lines []string
	for _, p := range ps {
		if p.Severity == Error {
			lines = append(lines, p.Error())
		}
	}
	if len(lines) == 0 {
		return nil
	}
	return fmt.Errorf("%s", strings.Join(lines, "\n"))
}

// DidYouMean returns a sentence that names the candidate closest to word, or
// "" if none is close.
func DidYouMean(word string, candidates []string) string {
	if best := closest(word, candidates); best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return ""
}

// closest returns the candidate within a third of word's length in edits.
func closest(word string, candidates []string) string {
	word = strings.ToLower(word)
	best, bestDist := "", len(word)/3+2
	for _, c := range candidates {
		low := strings.ToLower(c)
		d := editDistance(word, low)
		if strings.ReplaceAll(strings.ReplaceAll(word, "-", "_"), ".", "_") ==
			strings.ReplaceAll(low, ".", "_") {
			d = 0
		}
		if d < bestDist {
			best, bestDist = c, d
		}
	}
	return best
}

// editDistance is the optimal string alignment distance of two short words:
// insertions, deletions, replacements and swaps of neighbours.
func editDistance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
