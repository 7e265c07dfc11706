package config

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode"

	"github.com/kagarilog/kagari/option"
)

// palette is the escape sequences of a terminal, or nothing.
type palette struct{ bold, frame, off string }

// Render writes the problems for people, each with the place and the line it
// is about, in the order in which they come, and a count at the end:
//
//	error: unknown option "pathh"
//	  --> pipeline.conf:12:5 (input tail)
//	   |
//	12 |     Pathh /var/log/*.log
//	   |     ^^^^^
//	   = did you mean "path"?
//
// src may be nil. Values that look like secrets are not shown.
func Render(w io.Writer, ps option.Problems, src *Sources, color bool) {
	var counts [3]int
	for _, p := range ps {
		counts[p.Severity]++
		renderProblem(w, p, src, color)
	}
	var parts []string
	for sev, n := range counts {
		if n > 0 {
			parts = append(parts, countOf(n, option.Severity(sev).String()))
		}
	}
	if len(parts) > 0 {
		fmt.Fprintln(w, strings.Join(parts, ", "))
	}
}

func renderProblem(w io.Writer, p option.Problem, src *Sources, color bool) {
	var c palette
	sev := ""
	if color {
		c = palette{bold: "\x1b[1m", frame: "\x1b[34m", off: "\x1b[0m"}
		sev = [...]string{"\x1b[1;31m", "\x1b[1;33m", "\x1b[1;36m"}[p.Severity]
	}
	code := ""
	if p.Code != "" {
		code = "[" + p.Code + "]"
	}
	fmt.Fprintf(w, "%s%s%s%s%s: %s%s\n", sev, p.Severity, code, c.off, c.bold, printable(p.Message), c.off)
	line, ok := src.Line(p.Pos)
	if p.Line != "" {
		line, ok = p.Line, true
	}
	width := 1
	if ok {
		width = len(fmt.Sprint(p.Pos.Line))
	}
	margin := strings.Repeat(" ", width)
	section := ""
	if p.Section != "" {
		section = " (" + printable(p.Section) + ")"
	}
	fmt.Fprintf(w, "%s%s-->%s %s%s\n", margin, c.frame, c.off, printable(p.Pos.String()), section)
	if ok {
		shown, under := excerpt(line, p.Pos.Col)
		fmt.Fprintf(w, "%s %s|%s\n", margin, c.frame, c.off)
		fmt.Fprintf(w, "%s%d |%s %s\n", c.frame, p.Pos.Line, c.off, shown)
		if under != "" {
			fmt.Fprintf(w, "%s %s|%s %s%s%s\n", margin, c.frame, c.off, sev, under, c.off)
		}
	}
	if p.Fix != "" {
		fmt.Fprintf(w, "%s %s=%s %s\n", margin, c.frame, c.off, printable(p.Fix))
	}
	fmt.Fprintln(w)
}

// maxExcerpt is how much of a line is shown, in characters.
const maxExcerpt = 120

// secret finds the values of options that hold secrets.
var secret = regexp.MustCompile(`(?i)^[\s-]*["']?[\w.-]*(passw|secret|token|shared_key|api_?key|apikey|license_?key|credential)[\w.-]*["']?\s*[: ]\s*(\S.*)$`)

// excerpt cuts a line around the given column, counted from 1, and returns it
// with a line of carets for below it.
func excerpt(line string, col int) (shown, under string) {
	if m := secret.FindStringSubmatchIndex(line); m != nil && !strings.HasPrefix(line[m[4]:], "$") {
		line = line[:m[4]] + "***"
	}
	runes := []rune(printable(line))
	at := col - 1
	if at > len(runes) {
		at = len(runes)
	}
	from := 0
	if at > maxExcerpt-20 {
		from = at - 40
	}
	to := min(len(runes), from+maxExcerpt)
	if from > 0 {
		shown = "…"
	}
	shown += string(runes[from:to])
	if to < len(runes) {
		shown += "…"
	}
	if col < 1 {
		return shown, ""
	}
	if from > 0 {
		under = " "
	}
	for _, r := range runes[from:at] {
		if r != '\t' {
			r = ' '
		}
		under += string(r)
	}
	n := 0
	for at+n < to && (n == 0 || !unicode.IsSpace(runes[at+n])) {
		n++
	}
	return shown, under + strings.Repeat("^", max(n, 1))
}

// printable replaces what would disturb a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Cf) && r != '\t' || r == unicode.ReplacementChar {
			return '·'
		}
		return r
	}, s)
}
