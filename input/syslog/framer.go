package syslog

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/kagarilog/kagari/internal/rawinput"
)

// framer finds messages in a stream. What it has looked at in an unfinished
// message it does not look at again.
//
// With newlines, messages end in LF or NUL. With counted octets (RFC 6587,
// 3.4.1) a number is in front of each:
//
//	11 <34>1 hello13 <13>1 goodbye
//
// and a newline behind a message is skipped, because some senders put one
// there.
type framer struct {
	counted bool
	limit   int // longest message
	seen    int // bytes of the unfinished line that were looked at
}

// errLength says that there is no length where one should be, so that no
// further message can be found.
var errLength = errors.New("the length of a message is expected (RFC 6587, octet counting)")

// split calls f with every complete message in buf and returns how much of buf
// they take. Empty messages are left out.
func (fr *framer) split(buf []byte, f func(message []byte)) (used int, err error) {
	if fr.counted {
		return fr.splitCounted(buf, f)
	}
	for {
		rest := buf[used:]
		fresh := rest[fr.seen:]
		n := bytes.IndexByte(fresh, '\n')
		if n >= 0 {
			fresh = fresh[:n]
		}
		if zero := bytes.IndexByte(fresh, 0); zero >= 0 {
			n = zero
		}
		if n < 0 {
			fr.seen = len(rest)
			return used, nil
		}
		n += fr.seen
		fr.seen = 0
		if n > 0 {
			f(rest[:n])
		}
		used += n + 1
	}
}

func (fr *framer) splitCounted(buf []byte, f func(message []byte)) (used int, err error) {
	for {
		rest := buf[used:]
		if len(rest) > 0 && rest[0] == '\n' {
			used++
			continue
		}
		n, digits := 0, 0
		for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
			if n = 10*n + int(rest[digits]-'0'); n > fr.limit {
				return used, fmt.Errorf("%w: it has %s bytes or more", rawinput.ErrTooLong, rest[:digits+1])
			}
			digits++
		}
		switch {
		case digits == len(rest) && digits < maxDigits:
			return used, nil // the rest of the number is yet to come
		case digits == 0 || digits >= maxDigits || rest[digits] != ' ':
			return used, fmt.Errorf("%w, not %q", errLength, rest[:min(len(rest), 20)])
		case len(rest) < digits+1+n:
			return used, nil
		}
		if n > 0 {
			f(rest[digits+1 : digits+1+n])
		}
		used += digits + 1 + n
	}
}

// maxDigits is more digits than a length has, even with leading zeros.
const maxDigits = 20
