package redact

import "bytes"

// prefixed is a kind of token that is known by its beginning.
type prefixed struct {
	prefix string
	mark   int // the place in prefix of the character that it is found by, not the first
	least  int // characters behind the prefix
	chars  func(byte) bool
	by     int
}

func isKeyID(c byte) bool  { return 'A' <= c && c <= 'Z' || '2' <= c && c <= '7' }
func isBase64(c byte) bool { return isWord(c) || c == '-' }
func isDashed(c byte) bool { return isAlnum(c) || c == '-' }

// tokens is the kinds of tokens, as their issuers document them. The marks are
// characters that are rare in logs.
var tokens = [...]prefixed{
	{"AKIA", 2, 16, isKeyID, awsKey}, {"ASIA", 2, 16, isKeyID, awsKey}, {"ABIA", 2, 16, isKeyID, awsKey},
	{"ghp_", 3, 30, isAlnum, githubToken}, {"gho_", 3, 30, isAlnum, githubToken}, {"ghu_", 3, 30, isAlnum, githubToken},
	{"ghs_", 3, 30, isAlnum, githubToken}, {"ghr_", 3, 30, isAlnum, githubToken}, {"github_pat_", 6, 22, isWord, githubToken},
	{"xoxb-", 4, 10, isDashed, slackToken}, {"xoxp-", 4, 10, isDashed, slackToken}, {"xoxa-", 4, 10, isDashed, slackToken},
	{"xoxe-", 4, 10, isDashed, slackToken}, {"xoxo-", 4, 10, isDashed, slackToken}, {"xoxr-", 4, 10, isDashed, slackToken},
	{"xoxs-", 4, 10, isDashed, slackToken}, {"xapp-", 4, 10, isDashed, slackToken},
	{"glpat-", 5, 20, isBase64, apiKey}, {"AIza", 1, 35, isBase64, apiKey}, {"npm_", 3, 36, isAlnum, apiKey},
	{"sk_live_", 2, 16, isAlnum, apiKey}, {"rk_live_", 2, 16, isAlnum, apiKey}, {"pypi-", 4, 50, isBase64, apiKey},
}

// at returns the token whose mark is text[i].
func (p *prefixed) at(text []byte, i int) (start, end int, ok bool) {
	start = i - p.mark
	if start < 0 || !hasPrefix(text[start:], p.prefix) || start > 0 && isBase64(text[start-1]) {
		return 0, 0, false
	}
	body := start + len(p.prefix)
	for end = body; end < len(text) && p.chars(text[end]); {
		end++
	}
	return start, end, end-body >= p.least && (end == len(text) || !isAlnum(text[end]))
}

// webToken returns the JSON Web Token (RFC 7519) that has a J at text[i], the
// third character: header and payload are JSON objects, in Base64 eyJ….
func webToken(text []byte, i int) (start, end int, ok bool) {
	start = i - 2
	if start < 0 || text[start] != 'e' || text[start+1] != 'y' || start > 0 && isBase64(text[start-1]) {
		return 0, 0, false
	}
	part := func(from int) int {
		for from < len(text) && isBase64(text[from]) {
			from++
		}
		return from
	}
	header := part(start)
	if header-start < 10 || !hasPrefix(text[header:], ".eyJ") {
		return 0, 0, false
	}
	payload := part(header + 1)
	if payload == len(text) || text[payload] != '.' {
		return 0, 0, false
	}
	return start, part(payload + 1), true
}

// bearer returns the token behind the word Bearer at text[i] (RFC 6750 2.1).
func bearer(text []byte, i int) (start, end int, ok bool) {
	const word = "bearer "
	if len(text)-i < len(word) || i > 0 && isWord(text[i-1]) {
		return 0, 0, false
	}
	for j := range len(word) {
		if lower(text[i+j]) != word[j] {
			return 0, 0, false
		}
	}
	start = i + len(word)
	digits := false
	for end = start; end < len(text) && isToken68(text[end]); end++ {
		digits = digits || isDigit(text[end])
	}
	// Words such as "Bearer authentication" are none.
	return start, end, end-start >= 8 && (digits || end-start >= 20)
}

// isToken68 is the characters of a token in a header (RFC 9110 11.2).
func isToken68(c byte) bool {
	switch c {
	case '.', '~', '+', '/', '=':
		return true
	}
	return isBase64(c)
}

// privateKey returns the private key in PEM form (RFC 7468) that begins at text[i].
// Without an end it goes on to the end of the text.
func privateKey(text []byte, i int) (start, end int, ok bool) {
	const begin, kind, foot = "-----BEGIN ", "PRIVATE KEY", "-----END "
	if !hasPrefix(text[i:], begin) {
		return 0, 0, false
	}
	head := text[i+len(begin):]
	if !bytes.Contains(head[:min(len(head), 40)], []byte(kind)) {
		return 0, 0, false
	}
	at := bytes.Index(head, []byte(foot))
	if at < 0 {
		return i, len(text), true
	}
	end = i + len(begin) + at + len(foot)
	for end < len(text) && text[end] != '\n' && text[end] != '\\' && text[end] != '"' {
		end++
	}
	return i, end, true
}
