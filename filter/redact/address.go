package redact

import "bytes"

const (
	longestLocal  = 64  // RFC 5321 4.5.3.1.1
	longestDomain = 255 // RFC 5321 4.5.3.1.2
)

// email returns the mail address around the @ at text[at]; it does not begin before
// floor.
func email(text []byte, at, floor int) (start, end int, ok bool) {
	for start = at; start > floor && at-start < longestLocal && isLocal(text[start-1]); {
		start--
	}
	for start < at && text[start] == '.' {
		start++
	}
	end = at + 1
	for end < len(text) && end-at <= longestDomain && isDomain(text[end]) {
		end++
	}
	for end > at+1 && (text[end-1] == '.' || text[end-1] == '-') {
		end--
	}
	domain := text[at+1 : end]
	dot := bytes.LastIndexByte(domain, '.')
	if start == at || dot < 1 || len(domain)-dot < 3 || domain[0] == '.' || domain[0] == '-' {
		return 0, 0, false
	}
	for _, c := range domain[dot+1:] {
		if !isLetter(c) && c < 0x80 && c != '-' && !isDigit(c) {
			return 0, 0, false
		}
	}
	return start, end, !isDigit(domain[dot+1])
}

func isLocal(c byte) bool {
	switch c {
	case '.', '_', '%', '+', '-':
		return true
	}
	return isAlnum(c) || c >= 0x80
}

func isDomain(c byte) bool { return isAlnum(c) || c >= 0x80 || c == '.' || c == '-' }

// ipv4 returns the IPv4 address whose first dot is text[dot].
func ipv4(text []byte, dot int) (start, end int, ok bool) {
	if dot == 0 || dot+1 == len(text) || !isDigit(text[dot-1]) || !isDigit(text[dot+1]) {
		return 0, 0, false
	}
	for start = dot - 1; start > 0 && dot-start < 3 && isDigit(text[start-1]); {
		start--
	}
	if start > 0 && (isWord(text[start-1]) || text[start-1] == '.') {
		return 0, 0, false
	}
	n := ipv4Length(text[start:])
	end = start + n
	if n == 0 || end < len(text) && (isWord(text[end]) || text[end] == '.' && end+1 < len(text) && isDigit(text[end+1])) {
		return 0, 0, false
	}
	return start, end, true
}

// ipv4Length returns the length of the IPv4 address that s begins with, or 0.
func ipv4Length(s []byte) int {
	i := 0
	for part := range 4 {
		if part > 0 {
			if i == len(s) || s[i] != '.' {
				return 0
			}
			i++
		}
		n, from := 0, i
		for i < len(s) && i-from < 3 && isDigit(s[i]) {
			n = n*10 + int(s[i]-'0')
			i++
		}
		if i == from || n > 255 || i-from > 1 && s[from] == '0' {
			return 0
		}
	}
	return i
}

func isHex(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }

// longestIPv6 is the length of an address with an IPv4 address in it.
const longestIPv6 = 45

// ipv6 returns the IPv6 address around the colon text[colon], and in any case
// where the run of its characters ends.
func ipv6(text []byte, colon int) (start, end, run int, ok bool) {
	for start = colon; start > 0 && (isHex(text[start-1]) || text[start-1] == ':'); {
		start--
	}
	for end = colon; end < len(text) && (isHex(text[end]) || text[end] == ':' || text[end] == '.'); {
		end++
	}
	run = end
	// A single colon or a dot at an end belongs to the text around.
	if text[start] == ':' && start+1 < end && text[start+1] != ':' {
		start++
	} else if start > 0 && isWord(text[start-1]) {
		return 0, 0, run, false
	}
	for end > start+2 && (text[end-1] == '.' || text[end-1] == ':' && text[end-2] != ':') {
		end--
	}
	if end-start > longestIPv6 || end < len(text) && isWord(text[end]) || !isIPv6(text[start:end]) {
		return 0, 0, run, false
	}
	return start, end, run, true
}

// isIPv6 tells whether s is an IPv6 address (RFC 4291 2.2). Without any digit it is
// more likely to be a name in a programming language, such as a::b.
func isIPv6(s []byte) bool {
	groups, gap, digits := 0, false, false
	for i := 0; i < len(s); {
		if s[i] == ':' {
			switch {
			case i+1 < len(s) && s[i+1] == ':':
				if gap {
					return false
				}
				gap = true
				i += 2
			case groups == 0 || i+1 == len(s):
				return false
			default:
				i++
			}
			if i < len(s) && s[i] == ':' {
				return false
			}
			continue
		}
		if n := ipv4Length(s[i:]); n > 0 && i+n == len(s) {
			groups, digits = groups+2, true
			break
		}
		from := i
		for i < len(s) && isHex(s[i]) {
			digits = digits || isDigit(s[i])
			i++
		}
		if i == from || i-from > 4 {
			return false
		}
		groups++
	}
	return digits && (groups == 8 && !gap || groups < 8 && gap)
}
