package redact

import (
	"bytes"
	"errors"
	"strings"
)

// patterns is a list of patterns for keys, in which * stands for any text.
// Capital and small letters of ASCII are the same.
type patterns []pattern

type pattern struct {
	letters      uint32 // those that a key must have
	parts        []string
	anchorsFirst bool // the first part is the beginning
	anchorsLast  bool // the last part is the end
}

// parsePatterns reads patterns.
func parsePatterns(list []string) (patterns, error) {
	var all patterns
	for _, text := range list {
		if text == "" {
			return nil, errors.New("a pattern is empty")
		}
		low := strings.ToLower(text)
		p := pattern{letters: letters([]byte(low)), anchorsFirst: low[0] != '*', anchorsLast: low[len(low)-1] != '*'}
		for part := range strings.SplitSeq(low, "*") {
			if part != "" {
				p.parts = append(p.parts, part)
			}
		}
		all = append(all, p)
	}
	return all, nil
}

// letters returns which letters of the alphabet are in s.
func letters(s []byte) uint32 {
	var set uint32
	for _, c := range s {
		if c |= 0x20; 'a' <= c && c <= 'z' {
			set |= 1 << (c - 'a')
		}
	}
	return set
}

// longestKey is how much of a key is looked at, in bytes.
const longestKey = 256

// match tells whether one of the patterns matches key.
func (ps patterns) match(key []byte) bool {
	var set uint32
	var buf [longestKey]byte
	low := buf[:0]
	for i := range ps {
		p := &ps[i]
		if set == 0 && p.letters != 0 {
			if set = letters(key); set == 0 {
				set = 1 << 31 // There are none.
			}
		}
		if p.letters&^set != 0 {
			continue
		}
		if len(low) == 0 {
			key = key[:min(len(key), longestKey)]
			for j := range key {
				buf[j] = lower(key[j])
			}
			low = buf[:len(key)]
		}
		if p.match(low) {
			return true
		}
	}
	return false
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// match tells whether the pattern matches low, which has no capital letters.
func (p *pattern) match(low []byte) bool {
	parts := p.parts
	if p.anchorsFirst {
		if !hasPrefix(low, parts[0]) {
			return false
		}
		if low, parts = low[len(parts[0]):], parts[1:]; len(parts) == 0 {
			return !p.anchorsLast || len(low) == 0
		}
	}
	if p.anchorsLast && len(parts) > 0 {
		last := parts[len(parts)-1]
		if len(low) < len(last) || string(low[len(low)-len(last):]) != last {
			return false
		}
		low, parts = low[:len(low)-len(last)], parts[:len(parts)-1]
	}
	for _, part := range parts {
		i := bytes.Index(low, []byte(part))
		if i < 0 {
			return false
		}
		low = low[i+len(part):]
	}
	return true
}

// hasPrefix is bytes.HasPrefix for a text.
func hasPrefix(s []byte, prefix string) bool {
	return len(s) >= len(prefix) && string(s[:len(prefix)]) == prefix
}
