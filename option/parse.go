package option

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ParseBool reads true/on/yes and false/off/no in any case, the words of
// Fluent Bit. Numbers are refused.
func ParseBool(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "true", "on", "yes":
		return true, nil
	case "false", "off", "no":
		return false, nil
	}
	return false, fmt.Errorf("%q is not a boolean; use true, on, yes, false, off or no", s)
}

// ParseSize reads a number of bytes with an optional unit K, KB, M, MB, G or GB
// in any case. Units are decimal: 2KB is 2000. "false" is 0.
func ParseSize(s string) (int64, error) {
	return parseSize(s, 1000)
}

// ParseBinarySize is like ParseSize with units of 1024, for the few options
// that Fluent Bit reads so; Ki, KiB, Mi … are accepted too.
func ParseBinarySize(s string) (int64, error) {
	return parseSize(s, 1024)
}

func parseSize(s string, unit float64) (int64, error) {
	bad := fmt.Errorf("%q is not a size; use a number with an optional unit K, M or G, such as 512K or 10M", s)
	if strings.EqualFold(s, "false") {
		return 0, nil
	}
	num, rest := leadingNumber(s)
	if num == "" {
		return 0, bad
	}
	f, err := strconv.ParseFloat(num, 64)
	if err != nil {
		return 0, bad
	}
	suffix := strings.ToUpper(rest)
	if unit == 1024 {
		suffix = strings.Replace(suffix, "I", "", 1)
	}
	switch strings.TrimSuffix(suffix, "B") {
	case "":
		if suffix == "B" {
			return 0, bad
		}
	case "K":
		f *= unit
	case "M":
		f *= unit * unit
	case "G":
		f *= unit * unit * unit
	default:
		return 0, bad
	}
	if math.Abs(f) >= math.MaxInt64 {
		return 0, fmt.Errorf("%q is more than a size can hold", s)
	}
	return int64(f), nil
}

// leadingNumber splits a decimal number off the front of s, as C's atof
// would read it, leaving out exponents.
func leadingNumber(s string) (num, rest string) {
	i := 0
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		i++
	}
	digits, dot := 0, false
	for i < len(s) && (s[i] >= '0' && s[i] <= '9' || s[i] == '.' && !dot) {
		if s[i] == '.' {
			dot = true
		} else {
			digits++
		}
		i++
	}
	if digits == 0 {
		return "", s
	}
	return s[:i], s[i:]
}

// ParseSeconds reads whole seconds with an optional unit s, m, h or d, as
// Fluent Bit reads times. Go's own forms (1m30s, 500ms) are accepted too.
func ParseSeconds(s string) (time.Duration, error) {
	num, rest := leadingNumber(s)
	if num != "" {
		if f, err := strconv.ParseFloat(num, 64); err == nil {
			var unit time.Duration
			switch strings.ToLower(strings.TrimSpace(rest)) {
			case "", "s", "sec", "secs", "second", "seconds":
				unit = time.Second
			case "m":
				unit = time.Minute
			case "h":
				unit = time.Hour
			case "d":
				unit = 24 * time.Hour
			}
			if unit != 0 {
				if math.Abs(f)*float64(unit) >= math.MaxInt64 {
					return 0, fmt.Errorf("%q is longer than a time can hold", s)
				}
				return time.Duration(f * float64(unit)), nil
			}
		}
	}
	if d, err := time.ParseDuration(s); err == nil {
		return d, nil
	}
	return 0, fmt.Errorf("%q is not a time; use seconds or a number with a unit, such as 5, 30s, 5m or 1h", s)
}

// SplitComma splits at commas, trims blanks and leaves out empty parts. With
// limit > 0 at most limit parts are split off; what follows is the last part.
func SplitComma(s string, limit int) []string {
	var parts []string
	for s != "" {
		part, rest, _ := strings.Cut(s, ",")
		s = rest
		part = strings.Trim(part, " ")
		if part == "" {
			continue
		}
		parts = append(parts, part)
		if limit > 0 && len(parts) == limit {
			if rest = strings.TrimLeft(rest, " "); rest != "" {
				parts = append(parts, rest)
			}
			break
		}
	}
	return parts
}

// SplitWords splits at blanks. A part in double quotes keeps its blanks, with
// \" for a quote inside. With limit > 0 at most limit words are split off; what
// follows is the last part, as it stands.
func SplitWords(s string, limit int) []string {
	var parts []string
	for {
		s = strings.TrimLeft(s, " ")
		if s == "" {
			return parts
		}
		var part string
		if s[0] == '"' {
			part, s = quotedWord(s[1:])
		} else {
			part, s, _ = strings.Cut(s, " ")
		}
		parts = append(parts, part)
		if limit > 0 && len(parts) == limit {
			if s = strings.TrimLeft(s, " "); s != "" {
				parts = append(parts, s)
			}
			return parts
		}
	}
}

// quotedWord reads up to the closing quote; s starts after the opening one. A
// quote that is never closed ends with the text.
func quotedWord(s string) (word, rest string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && s[i+1] == '"':
			i++
			b.WriteByte(s[i])
		case s[i] == '"':
			return b.String(), s[i+1:]
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), ""
}

// atoi reads the leading integer of s as C's atoi does: 0 when there is none.
func atoi(s string) int64 {
	s = strings.TrimLeft(s, " \t")
	i := 0
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		i++
	}
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	n, _ := strconv.ParseInt(s[:i], 10, 64)
	return n
}

// Forever stands for times that never come. It can be added to the time of
// today, in nanoseconds since 1970, twice.
const Forever = 100 * 365 * 24 * time.Hour

// Times is n units, but not longer than Forever, in either direction.
func Times(n int, unit time.Duration) time.Duration {
	most := int(Forever / unit)
	return time.Duration(min(max(n, -most), most)) * unit
}
