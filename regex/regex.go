// Package regex matches regular expressions of the Ruby dialect, as Onigmo reads them for Fluent Bit:
// UTF-8 text, Ruby syntax, no options but those written in the pattern.
//
// Compile turns a pattern into a Regexp, which any number of goroutines may use at once.
// The pattern is parsed into a tree (parse*.go, charset.go, property.go), the tree is checked (check.go,
// lookbehind.go) and compiled to a program (compile.go) for a backtracking machine (run.go)
// that works on bytes. Most patterns in log configurations never backtrack,
// since runs of characters that cannot be followed by one of their own are taken whole (optimize.go),
// and a search looks at promising positions only (plan.go). A match allocates nothing.
//
// Backtracking is bounded. Once many ways have failed they are remembered and not tried again, which takes
// the explosion out of nested repetitions; that is possible unless the pattern refers to groups, and not inside of
// atomic groups, look-around, counted groups and calls. What still takes too many steps, or too deep a stack, is
// given up: the answer is ErrStepLimit, or no match from methods that return no error.
//
// Differences from Onigmo: case folding knows single characters only (ß does not match ss), and does not take
// É for a byte when a class holds é. The absence operator (?~…), an unfinished \p{… and properties for blocks
// (\p{InBasicLatin}), ages and emoji are refused. A group that matched nothing in the last round of a loop that
// matched nothing is set to there, not to where it was before. Look-around at \z or \Z works on its own too.
package regex

import (
	"errors"
	"math"
	"slices"
	"strings"
	"unsafe"
)

// ErrStepLimit says that a match was given up because it took too many steps or too much memory.
// The limits grow with the text; an ordinary pattern never comes near them.
var ErrStepLimit = errors.New("regex: match takes too many steps")

// A Regexp is a compiled pattern. It is immutable and safe for concurrent use.
type Regexp struct {
	pattern string
	names   []string
	full    *program
	test    *program // without groups, to tell whether there is a match
}

// Compile reads pattern, plain or, as Fluent Bit takes it, between slashes and with the letters i, m, o and x:
// /…/ drops the slashes, /…/im also sets the flags (o is ignored).
// Slashes stay part of the pattern if other letters follow the last one, or only o.
//
// The error is a *SyntaxError.
func Compile(pattern string) (*Regexp, error) {
	body, at, f := unslash(pattern)
	re := &Regexp{pattern: pattern}
	if err := re.compile([]byte(body), f); err != nil {
		var syntax *SyntaxError
		if errors.As(err, &syntax) {
			syntax.Pattern = pattern
			syntax.Offset += at
		}
		return nil, err
	}
	return re, nil
}

func (re *Regexp) compile(src []byte, f flags) error {
	p, root, err := parse(src, f)
	if err != nil {
		return err
	}
	c, root, err := check(p, root)
	if err != nil {
		return err
	}
	re.names = c.names
	re.full = compile(c, root, true)
	re.test = re.full
	if !re.full.hasRefs {
		re.test = compile(c, root, false)
		re.test.numGroups = 0
	}
	if re.full.numSlots > math.MaxUint16 {
		return c.errorf(root, "pattern has too many repetitions")
	}
	return nil
}

// MustCompile is like Compile but panics if pattern is wrong. It is for patterns that are part of the program.
func MustCompile(pattern string) *Regexp {
	re, err := Compile(pattern)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return re
}

// unslash takes off slashes and letters as Fluent Bit's src/flb_regex.c does,
// and returns where in pattern the rest starts.
func unslash(pattern string) (body string, at int, f flags) {
	last := strings.LastIndexByte(pattern, '/')
	if pattern == "" || pattern[0] != '/' || last == 0 {
		return pattern, 0, 0
	}
	known := true
	for _, c := range pattern[last+1:] {
		switch c {
		case 'm':
			f |= flagDotAll
		case 'i':
			f |= flagFold
		case 'x':
			f |= flagExtended
		case 'o':
		default:
			known = false
		}
	}
	if known && f != 0 || last == len(pattern)-1 {
		return pattern[1:last], 1, f
	}
	return pattern, 0, 0
}

// String returns the pattern as it was given to Compile.
func (re *Regexp) String() string { return re.pattern }

// NumGroups returns the number of groups that capture.
func (re *Regexp) NumGroups() int { return len(re.names) - 1 }

// Names returns the names of the groups by number; the first entry stands for the whole match.
// The name is empty for a group without one. Several groups may have the same.
func (re *Regexp) Names() []string { return slices.Clone(re.names) }

// Match reports whether b contains a match.
func (re *Regexp) Match(b []byte) bool {
	ok, _ := re.TryMatch(b)
	return ok
}

// TryMatch is Match for callers that count what was given up. The error is nil or ErrStepLimit.
func (re *Regexp) TryMatch(b []byte) (bool, error) {
	var room [16]int
	_, ok, err := re.test.search(b, 0, false, room[:0])
	return ok, err
}

// MatchString is Match for a string.
func (re *Regexp) MatchString(s string) bool {
	return re.Match(unsafe.Slice(unsafe.StringData(s), len(s)))
}

// Find looks for the first match in b and returns pairs of offsets, for the match and for each group,
// appended to caps[:0]; they are -1 for a group that took no part. Nothing is allocated
// if caps has room for 2*(NumGroups()+1) of them. Without a match it returns caps[:0].
func (re *Regexp) Find(b []byte, caps []int) ([]int, bool) {
	caps, ok, _ := re.FindAt(b, 0, caps)
	return caps, ok
}

// FindAt is Find from offset start on, where \G matches; what stands before start is seen by look-behind and ^.
// The error is nil or ErrStepLimit; that is also the answer to a text of 2 GiB or more.
// There is no match from an offset outside of b.
func (re *Regexp) FindAt(b []byte, start int, caps []int) ([]int, bool, error) {
	return re.full.search(b, start, false, caps)
}

// FindPrefix is Find for a match that starts at offset 0, as Match_Regex wants it.
// A match can be empty; Fluent Bit does not count that one as a match of a tag.
func (re *Regexp) FindPrefix(b []byte, caps []int) ([]int, bool) {
	caps, ok, _ := re.full.search(b, 0, true, caps)
	return caps, ok
}
