package redact

import (
	"cmp"
	"slices"

	"github.com/kagarilog/kagari/regex"
)

// The detectors, in the order of detectorNames. Own rules follow them.
const (
	card = iota
	emailAddress
	ipv4Address
	ipv6Address
	awsKey
	jwt
	bearerToken
	githubToken
	slackToken
	apiKey
	pemKey
	secret
	detectors // how many there are
)

var detectorNames = [detectors]string{
	"card", "email", "ipv4", "ipv6", "aws_key", "jwt", "bearer", "github_token", "slack_token", "api_key", "private_key", "secret",
}

// groups is words that stand for several detectors.
var detectorGroups = map[string][]int{
	"ip":    {ipv4Address, ipv6Address},
	"token": {awsKey, jwt, bearerToken, githubToken, slackToken, apiKey, pemKey},
	"all":   {card, emailAddress, ipv4Address, ipv6Address, awsKey, jwt, bearerToken, githubToken, slackToken, apiKey, pemKey, secret},
}

// finding is a piece of text that is to be redacted.
type finding struct {
	start, end int
	by         int // detector, or detectors plus the index of a rule
}

// rule is a detector of the configuration.
type rule struct {
	name  string
	regex *regex.Regexp
	group int // what of a match is a finding
}

// finder finds things in text. It is read-only and safe for concurrent use.
type finder struct {
	on      [detectors]bool
	secrets patterns
	rules   []rule
	// weights says which of two overlapping findings counts, by detector and rule:
	// the heavier one. nil: all are the same.
	weights []int
	// failed is told of a rule that was given up.
	failed func(r *rule, err error)

	triggers [256]bool       // characters that are worth a closer look
	marked   [256][]prefixed // tokens by the character that they are found by
	any      bool            // there are triggers
}

func newFinder(on [detectors]bool, secrets patterns, rules []rule, failed func(*rule, error)) *finder {
	f := &finder{on: on, secrets: secrets, rules: rules, failed: failed}
	mark := func(detector int, chars string) {
		if on[detector] {
			f.any = true
			for _, c := range []byte(chars) {
				f.triggers[c] = true
			}
		}
	}
	mark(emailAddress, "@")
	mark(ipv4Address, ".")
	mark(ipv6Address, ":")
	mark(jwt, "J")
	mark(bearerToken, "bB")
	mark(pemKey, "-")
	mark(secret, "=:")
	for _, t := range tokens {
		if c := t.prefix[t.mark]; on[t.by] {
			mark(t.by, string(c))
			f.marked[c] = append(f.marked[c], t)
		}
	}
	return f
}

// find appends what is to be redacted in text, in order and without overlaps.
func (f *finder) find(dst []finding, caps *[]int, text []byte) []finding {
	from := len(dst)
	if f.on[card] && len(text) >= shortestCard {
		dst = appendCards(dst, text)
	}
	if f.any {
		dst = f.appendMarked(dst, text)
	}
	for i := range f.rules {
		dst = f.appendMatches(dst, caps, text, i)
	}
	for i := from + 1; i < len(dst); i++ {
		if dst[i].start < dst[i-1].end {
			return f.merge(dst, from)
		}
	}
	return dst
}

// appendMarked looks at the places that have a trigger.
func (f *finder) appendMarked(dst []finding, text []byte) []finding {
	seen := 0 // where the last run of characters of IPv6 addresses ends
	for i := 0; i < len(text); i++ {
		c := text[i]
		if !f.triggers[c] {
			continue
		}
		by := -1
		var start, end int
		ok := false
		if i > 0 {
			marked := f.marked[c]
			for j := range marked {
				t := &marked[j]
				if t.prefix[t.mark-1] != text[i-1] {
					continue // Most are not worth a call.
				}
				if start, end, ok = t.at(text, i); ok {
					by = t.by
					break
				}
			}
		}
		if by < 0 {
			switch c {
			case '@':
				floor := 0
				if n := len(dst); n > 0 && dst[n-1].by == secret {
					floor = dst[n-1].end // Behind the password of a URL is no mail address.
				}
				start, end, ok = email(text, i, floor)
				by = emailAddress
			case '.':
				start, end, ok = ipv4(text, i)
				by = ipv4Address
			case ':', '=':
				start, end, by, ok = f.assigned(text, i, &seen)
			case 'J':
				start, end, ok = webToken(text, i)
				by = jwt
			case 'b', 'B':
				start, end, ok = bearer(text, i)
				by = bearerToken
			case '-':
				start, end, ok = privateKey(text, i)
				by = pemKey
			}
		}
		if !ok || !f.on[by] {
			continue
		}
		dst = append(dst, finding{start, end, by})
		i = max(i, end-1)
	}
	return dst
}

// assigned looks at a colon or equals sign.
func (f *finder) assigned(text []byte, i int, seen *int) (start, end, by int, ok bool) {
	if f.on[secret] {
		if start, end, ok = f.secrets.secretOf(text, i); ok {
			return start, end, secret, true
		}
		if text[i] == ':' {
			if start, end, ok = urlPassword(text, i); ok {
				return start, end, secret, true
			}
		}
	}
	if text[i] == ':' && f.on[ipv6Address] && i >= *seen {
		start, end, *seen, ok = ipv6(text, i)
		return start, end, ipv6Address, ok
	}
	return 0, 0, secret, false
}

// appendMatches appends the matches of a rule.
func (f *finder) appendMatches(dst []finding, caps *[]int, text []byte, i int) []finding {
	r := &f.rules[i]
	for at := 0; at <= len(text); {
		found, ok, err := r.regex.FindAt(text, at, (*caps)[:0])
		*caps = found
		if err != nil {
			f.failed(r, err)
		}
		if !ok {
			return dst
		}
		if start, end := found[2*r.group], found[2*r.group+1]; start >= 0 && end > start {
			dst = append(dst, finding{start, end, detectors + i})
		}
		at = max(found[1], at+1)
	}
	return dst
}

// merge sorts the findings from an index on and removes overlaps: the heavier one
// counts, else what begins first, else what is longer; what sticks out of one is
// kept.
func (f *finder) merge(all []finding, from int) []finding {
	slices.SortFunc(all[from:], func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(b.end, a.end), cmp.Compare(a.by, b.by))
	})
	n, end := from, 0
	for _, x := range all[from:] {
		if x.start < end && f.weights != nil && f.weights[x.by] > f.weights[all[n-1].by] {
			all[n-1].by = x.by
		}
		if x.start = max(x.start, end); x.start >= x.end {
			continue
		}
		all[n] = x
		n++
		end = x.end
	}
	return all[:n]
}
