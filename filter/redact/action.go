package redact

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"unicode/utf8"
)

// action is what is done with a finding.
type action uint8

const (
	mask action = iota
	hashed
	drop       // the field
	dropRecord // the whole record
)

var actionNames = []string{"mask", "hash", "drop", "drop_record"}

// fixedMask is how many mask characters stand for a secret, whose length is
// nobody's business.
const fixedMask = 8

// replacer writes what stands for findings. One goroutine uses it at a time.
type replacer struct {
	char []byte // of masks
	keep int    // characters at the end that masks leave
	mac  hash.Hash
	norm []byte // scratch
	sum  []byte // scratch
}

func newReplacer(char string, keep int, key string) *replacer {
	return &replacer{char: []byte(char), keep: keep, mac: hmac.New(sha256.New, []byte(key))}
}

// appendMask appends text with all but its last characters masked. Of a text that
// is less than twice as long as what would be left, nothing is left.
func (r *replacer) appendMask(dst, text []byte, by int) []byte {
	n := utf8.RuneCount(text)
	keep := r.keep
	if by == secret || by == pemKey {
		n, keep = fixedMask, 0
	}
	if n < 2*keep {
		keep = 0
	}
	for range n - keep {
		dst = append(dst, r.char...)
	}
	for at := len(text); keep > 0; keep-- {
		_, size := utf8.DecodeLastRune(text[:at])
		if at -= size; keep == 1 {
			dst = append(dst, text[at:]...)
		}
	}
	return dst
}

// hashBytes is how much of the HMAC is written: enough to tell values apart.
const hashBytes = 8

// appendHash appends the detector's name and a keyed hash (HMAC-SHA-256, RFC 2104)
// of text, such as card:9f86d081884c7d65. Ways to write the same card number or
// mail address have the same.
func (r *replacer) appendHash(dst, text []byte, by int, name string) []byte {
	r.norm = r.norm[:0]
	for _, c := range text {
		switch {
		case by == card && !isDigit(c):
		case by == emailAddress || by == ipv6Address:
			r.norm = append(r.norm, lower(c))
		default:
			r.norm = append(r.norm, c)
		}
	}
	r.mac.Reset()
	_, _ = r.mac.Write(r.norm) // A hash returns no error.
	r.sum = r.mac.Sum(r.sum[:0])
	dst = append(append(dst, name...), ':')
	return hex.AppendEncode(dst, r.sum[:hashBytes])
}
