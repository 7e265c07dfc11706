package view

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/width"
)

// count writes a number in at most six columns: as it is below 100,000, then
// with k, M, G and so on for thousands.
func count(n float64) string {
	if n < 99999.5 {
		return strconv.FormatFloat(math.Round(n), 'f', 0, 64)
	}
	return scaled(n, 1000, "kMGTPE")
}

// perSecond writes a rate, with a decimal while it is small; nil is unknown.
func perSecond(r *float64) string {
	switch {
	case r == nil:
		return "-"
	case *r > 0 && *r < 9.95:
		return strconv.FormatFloat(*r, 'f', 1, 64)
	}
	return count(*r)
}

// size writes bytes with units of 1024.
func size(n float64) string {
	if n < 1023.5 {
		return strconv.FormatFloat(math.Round(n), 'f', 0, 64) + "B"
	}
	return scaled(n, 1024, "KMGTPE")
}

func sizePerSecond(r *float64) string {
	if r == nil {
		return "-"
	}
	return size(*r)
}

func scaled(n, base float64, units string) string {
	n /= base
	i := 0
	for ; n >= base-0.5 && i < len(units)-1; i++ {
		n /= base
	}
	digits := 1
	if n >= 99.95 {
		digits = 0
	}
	return strconv.FormatFloat(n, 'f', digits, 64) + units[i:i+1]
}

// span writes a time in seconds in at most two units: 12s, 3m05s, 2h07m, 5d03h.
func span(seconds float64) string {
	s := int64(max(min(seconds, math.MaxInt32*86400), 0))
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
	}
	return fmt.Sprintf("%dd%02dh", s/86400, s/3600%24)
}

// ago writes how long before now a time is.
func ago(at, now time.Time) string { return span(now.Sub(at).Seconds()) + " ago" }

// clean makes a text of the router's fit for a terminal: nothing in it moves
// the cursor, changes colours or turns the direction of writing. Names and
// errors may come from a stranger.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r':
			return ' '
		case !unicode.IsPrint(r):
			return '\uFFFD'
		}
		return r
	}, s)
}

// columns is how many columns of a terminal a text takes.
func columns(s string) int {
	n := 0
	for _, r := range s {
		n += runeColumns(r)
	}
	return n
}

func runeColumns(r rune) int {
	if r < 0x300 {
		return 1
	}
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	if k := width.LookupRune(r).Kind(); k == width.EastAsianWide || k == width.EastAsianFullwidth {
		return 2
	}
	return 1
}

// Fit cuts a text that takes more than n columns.
func Fit(s string, n int) string {
	if columns(s) <= n {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if n -= runeColumns(r); n < 1 {
			break
		}
		b.WriteRune(r)
	}
	return b.String() + "…"
}

// fold breaks a text at blanks into lines of at most n columns, all but the
// first indented; what does not fit into the last of most lines is cut.
func fold(s string, n, indent, most int) []string {
	var out []string
	line := ""
	words := strings.Fields(s)
	room := n
	for i, w := range words {
		switch {
		case line == "":
			line = w
		case columns(line)+1+columns(w) <= room:
			line += " " + w
		case len(out) == most-1:
			line += " " + strings.Join(words[i:], " ")
			return append(out, indented(Fit(line, room), len(out), indent))
		default:
			out = append(out, indented(Fit(line, room), len(out), indent))
			line, room = w, n-indent
		}
	}
	return append(out, indented(Fit(line, room), len(out), indent))
}

func indented(line string, number, indent int) string {
	if number == 0 {
		return line
	}
	return strings.Repeat(" ", indent) + line
}

// pad fills a text up to n columns, on its right or on its left.
func pad(s string, n int, left bool) string {
	fill := strings.Repeat(" ", max(n-columns(s), 0))
	if left {
		return fill + s
	}
	return s + fill
}
