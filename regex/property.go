package regex

import (
	"strings"
	"unicode"
)

// posixNames are the names of POSIX brackets, which are properties too.
var posixNames = [...]string{
	"alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower",
	"print", "punct", "space", "upper", "xdigit", "ascii", "word",
}

// asciiClass is the ASCII part of a POSIX class.
func asciiClass(name string) charset {
	switch name {
	case "alnum":
		return charsetOf('0', '9', 'A', 'Z', 'a', 'z')
	case "alpha":
		return charsetOf('A', 'Z', 'a', 'z')
	case "blank":
		return charsetOf('\t', '\t', ' ', ' ')
	case "cntrl":
		return charsetOf(0, 0x1F, 0x7F, 0x7F)
	case "digit":
		return charsetOf('0', '9')
	case "graph":
		return charsetOf('!', '~')
	case "lower":
		return charsetOf('a', 'z')
	case "print":
		return charsetOf(' ', '~')
	case "punct":
		return charsetOf('!', '/', ':', '@', '[', '`', '{', '~')
	case "space":
		return charsetOf('\t', '\r', ' ', ' ')
	case "upper":
		return charsetOf('A', 'Z')
	case "xdigit":
		return charsetOf('0', '9', 'A', 'F', 'a', 'f')
	case "ascii":
		return charsetOf(0, 0x7F)
	case "word":
		return charsetOf('0', '9', 'A', 'Z', '_', '_', 'a', 'z')
	}
	panic("BUG: regex: no POSIX class " + name)
}

// unicodeClass is a POSIX class over all of Unicode, as Onigmo's doc/RE defines it.
func unicodeClass(name string) charset {
	tables := charsetOfTables
	switch name {
	case "alnum":
		return unicodeClass("alpha").union(tables(unicode.Nd))
	case "alpha":
		return tables(unicode.L, unicode.Nl, unicode.Other_Alphabetic)
	case "blank":
		return tables(unicode.Zs).union(charsetOf('\t', '\t'))
	case "cntrl":
		return tables(unicode.Cc)
	case "digit":
		return tables(unicode.Nd)
	case "graph":
		return assigned().intersect(tables(unicode.White_Space, unicode.Cc, unicode.Cs).negate())
	case "lower":
		return tables(unicode.Ll, unicode.Other_Lowercase)
	case "print":
		return unicodeClass("graph").union(tables(unicode.Zs))
	case "punct":
		return tables(unicode.P).union(asciiClass("punct"))
	case "space":
		return tables(unicode.White_Space)
	case "upper":
		return tables(unicode.Lu, unicode.Other_Uppercase)
	case "word":
		return unicodeClass("alpha").union(tables(unicode.M, unicode.Nd, unicode.Pc))
	}
	return asciiClass(name)
}

// assigned is everything that has a general category other than Cn.
func assigned() charset {
	return charsetOfTables(unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs,
		unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z)
}

// isWord reports whether c is a word character of Unicode. A stray byte counts as the code point of its value,
// but 0xFE and 0xFF, which UTF-8 never uses, as none.
func isWord(c rune) bool {
	if c >= rawBase {
		if c -= rawBase; c >= 0xFE {
			return false
		}
	}
	switch {
	case c < 0x80:
		return isASCIIWord(byte(c))
	case c == 0xB2, c == 0xB3, c == 0xB9, c >= 0xBC && c <= 0xBE:
		// Onigmo counts the superscripts and fractions of Latin-1 in here, but not in [[:word:]].
		return true
	}
	return unicode.In(c, unicode.L, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic)
}

func isASCIIWord(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '_'
}

// propertySet finds the set of \p{name}: POSIX classes, general categories, scripts and the properties of
// Unicode's PropList and DerivedCoreProperties that the standard library can tell.
// As in Onigmo, case, blanks, dashes and underscores do not matter.
func propertySet(name string) (charset, bool) {
	name = plainName(name)
	if name == "" {
		return nil, false
	}
	for _, n := range posixNames {
		if n == name {
			if n == "punct" { // the property, unlike the bracket, is the category alone
				return charsetOfTables(unicode.P), true
			}
			return unicodeClass(n), true
		}
	}
	tables := charsetOfTables
	switch name {
	case "any":
		return charset{{0, maxRune}}, true
	case "assigned":
		return assigned(), true
	case "cn", "unassigned":
		return assigned().negateRunes(), true
	case "c", "other":
		return tables(unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z).negateRunes(), true
	case "lc", "casedletter":
		return tables(unicode.Lu, unicode.Ll, unicode.Lt), true
	case "xposixpunct":
		return unicodeClass("punct"), true
	case "alphabetic":
		return unicodeClass("alpha"), true
	case "lowercase":
		return unicodeClass("lower"), true
	case "uppercase":
		return unicodeClass("upper"), true
	case "cased":
		return unicodeClass("lower").union(unicodeClass("upper")).union(tables(unicode.Lt)), true
	case "math":
		return tables(unicode.Sm, unicode.Other_Math), true
	case "graphemeextend", "grext":
		return tables(unicode.Me, unicode.Mn, unicode.Other_Grapheme_Extend), true
	case "extendedpictographic":
		return pictographic(), true
	case "unknown", "zzzz":
		return unknownScript(), true
	}
	for alias, short := range unicode.CategoryAliases {
		if plainName(alias) == name {
			name = plainName(short)
			break
		}
	}
	if long, ok := scriptCodes[name]; ok {
		name = long
	}
	for _, m := range []map[string]*unicode.RangeTable{unicode.Categories, unicode.Scripts, unicode.Properties} {
		for n, t := range m {
			if plainName(n) == name {
				return tables(t), true
			}
		}
	}
	return nil, false
}

func unknownScript() charset {
	var all []*unicode.RangeTable
	for _, t := range unicode.Scripts {
		all = append(all, t)
	}
	return charsetOfTables(all...).negateRunes()
}

// plainName takes out of a property name what does not matter.
func plainName(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ' || r == '-' || r == '_':
			return -1
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// scriptCodes are the ISO 15924 codes of the scripts in wide use.
var scriptCodes = map[string]string{
	"arab": "arabic", "armn": "armenian", "beng": "bengali", "cher": "cherokee", "copt": "coptic",
	"cyrl": "cyrillic", "deva": "devanagari", "ethi": "ethiopic", "geor": "georgian", "grek": "greek",
	"gujr": "gujarati", "guru": "gurmukhi", "hang": "hangul", "hani": "han", "hebr": "hebrew",
	"hira": "hiragana", "kana": "katakana", "khmr": "khmer", "knda": "kannada", "laoo": "lao",
	"latn": "latin", "mlym": "malayalam", "mong": "mongolian", "mymr": "myanmar", "orya": "oriya",
	"sinh": "sinhala", "syrc": "syriac", "taml": "tamil", "telu": "telugu", "thaa": "thaana",
	"tibt": "tibetan", "zinh": "inherited", "zyyy": "common",
}
