package checklist

import (
	"bytes"
	"slices"
	"unicode/utf8"
)

// list is the entries of a file.
type list struct {
	partial bool
	fold    bool // entries and text are in small letters
	entries int

	exact map[string]struct{}
	// lengths are those of the entries, rising, for partial lists: text is looked
	// up cut to each.
	lengths []int
	// patterns are the entries of partial lists with % or _ in them.
	patterns [][]byte
}

// read adds the entries of a file.
func (l *list) read(text []byte) {
	l.exact = map[string]struct{}{}
	lines(text, func(entry []byte) {
		l.entries++
		if l.fold {
			entry = lower(nil, entry)
		}
		if l.partial && bytes.ContainsAny(entry, "%_") {
			l.patterns = append(l.patterns, append(bytes.Clone(entry), '%'))
			return
		}
		l.exact[string(entry)] = struct{}{}
		if l.partial {
			if i, ok := slices.BinarySearch(l.lengths, len(entry)); !ok {
				l.lengths = slices.Insert(l.lengths, i, len(entry))
			}
		}
	})
}

// has tells whether the list has the text, or a partial list its start.
func (l *list) has(text []byte) bool {
	if l.fold {
		var room [256]byte
		text = lower(room[:0], text)
	}
	if !l.partial {
		_, ok := l.exact[string(text)]
		return ok
	}
	for _, n := range l.lengths {
		if n > len(text) {
			break
		}
		if _, ok := l.exact[string(text[:n])]; ok {
			return true
		}
	}
	for _, p := range l.patterns {
		if like(p, text) {
			return true
		}
	}
	return false
}

// lower appends s with small ASCII letters.
func lower(dst, s []byte) []byte {
	for _, c := range s {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// like matches as SQLite's LIKE does: % stands for any text, _ for a character.
func like(pattern, text []byte) bool {
	p, t := 0, 0
	// Where to go on when what follows the last % does not match.
	star, from := -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '%':
			star, from = p, t
			p++
			if p == len(pattern) {
				return true
			}
			continue
		case p < len(pattern) && pattern[p] == '_':
			_, size := utf8.DecodeRune(text[t:])
			p, t = p+1, t+size
			continue
		case p < len(pattern) && pattern[p] == text[t]:
			p, t = p+1, t+1
			continue
		case star < 0:
			return false
		}
		_, size := utf8.DecodeRune(text[from:])
		from += size
		p, t = star+1, from
	}
	for p < len(pattern) && pattern[p] == '%' {
		p++
	}
	return p == len(pattern)
}
