package redact

import "bytes"

// longestWord is how long the name in front of a secret in text may be, in bytes.
const longestWord = 64

// secretOf returns the value behind the = or : at text[i], if the name in front of
// it is one that a pattern matches: password=x, "password": "x", pwd => x.
func (ps patterns) secretOf(text []byte, i int) (start, end int, ok bool) {
	word := i
	for word > 0 && i-word < 2 && text[word-1] == ' ' {
		word--
	}
	if word > 0 && (text[word-1] == '"' || text[word-1] == '\'') {
		word--
		if word > 0 && text[word-1] == '\\' {
			word--
		}
	}
	from := word
	for from > 0 && word-from < longestWord && (isBase64(text[from-1]) || text[from-1] == '.') {
		from--
	}
	name := text[from:word]
	if len(name) == 0 {
		return 0, 0, false
	}
	if !ps.match(name) {
		dot := bytes.LastIndexByte(name, '.')
		if dot < 0 || !ps.match(name[dot+1:]) {
			return 0, 0, false
		}
	}
	start, end = valueAfter(text, i+1)
	switch word := text[start:end]; {
	case start > 0 && (text[start-1] == '"' || text[start-1] == '\''):
		// Quotes say where it ends.
	case text[i] == ':' && hasSuffixFold(name, "cookie"): // Cookie: a=b; c=d
		end = lineEnd(text, start, "\r\n\\\"")
	case hasPrefixFold(word, "digest"), hasPrefixFold(word, "aws4-"): // Digest username="a", response="b"
		end = lineEnd(text, start, "\r\n\\")
	case isScheme(word) && end < len(text) && text[end] == ' ': // Basic dXNlcjpwYXNz
		start, end = valueAfter(text, end)
	}
	return start, end, end > start && string(text[start:end]) != "null"
}

// valueAfter returns the value at text[i], in quotes or up to a character that ends
// it.
func valueAfter(text []byte, i int) (start, end int) {
	for n := 0; i < len(text) && n < 2 && (text[i] == '=' || text[i] == ':' || text[i] == '>'); n++ {
		i++
	}
	for n := 0; i < len(text) && n < 2 && text[i] == ' '; n++ {
		i++
	}
	escaped := i+1 < len(text) && text[i] == '\\' && text[i+1] == '"'
	if escaped {
		i++
	}
	if i < len(text) && (text[i] == '"' || text[i] == '\'') {
		quote := text[i]
		for start, end = i+1, i+1; end < len(text) && text[end] != quote; end++ {
			if text[end] != '\\' {
				continue
			}
			if escaped && end+1 < len(text) && text[end+1] == quote {
				break
			}
			end++
		}
		return start, min(end, len(text))
	}
	for start, end = i, i; end < len(text) && !endsValue(text[end]); {
		end++
	}
	return start, end
}

// endsValue tells of characters that values without quotes do not have.
func endsValue(c byte) bool {
	switch c {
	case ',', ';', '&', ')', '(', ']', '[', '}', '{', '"', '\'', '<', '>', '\\':
		return true
	}
	return c <= ' '
}

// isScheme tells whether a word says how what follows it authorizes (RFC 9110
// 11.1).
func isScheme(s []byte) bool {
	for _, scheme := range [...]string{"basic", "bearer", "digest", "token", "negotiate", "apikey"} {
		if len(s) == len(scheme) && hasPrefixFold(s, scheme) {
			return true
		}
	}
	return false
}

// hasPrefixFold tells whether s begins with low, which has no capital letters.
func hasPrefixFold(s []byte, low string) bool {
	if len(s) < len(low) {
		return false
	}
	for i := range len(low) {
		if lower(s[i]) != low[i] {
			return false
		}
	}
	return true
}

// hasSuffixFold tells whether s ends with low, which has no capital letters.
func hasSuffixFold(s []byte, low string) bool {
	return len(s) >= len(low) && hasPrefixFold(s[len(s)-len(low):], low)
}

// lineEnd returns where the line at text[i] ends, or before it the first of the
// characters in stop.
func lineEnd(text []byte, i int, stop string) int {
	if n := bytes.IndexAny(text[i:], stop); n >= 0 {
		return i + n
	}
	return len(text)
}

// longestAuthority is how much of a URL is looked at for a password, in bytes.
const longestAuthority = 1024

// urlPassword returns the password in the URL whose first colon is text[i]:
// https://user:password@host/.
func urlPassword(text []byte, i int) (start, end int, ok bool) {
	if !hasPrefix(text[i:], "://") {
		return 0, 0, false
	}
	authority := text[i+3 : min(len(text), i+3+longestAuthority)]
	if n := bytes.IndexAny(authority, "/?# \t\r\n\"'<>"); n >= 0 {
		authority = authority[:n]
	}
	at := bytes.LastIndexByte(authority, '@')
	if at < 0 {
		return 0, 0, false
	}
	colon := bytes.IndexByte(authority[:at], ':')
	if colon < 0 || colon+1 == at {
		return 0, 0, false
	}
	return i + 3 + colon + 1, i + 3 + at, true
}
