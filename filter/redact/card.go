package redact

// digitWindow is the stride of appendCards: a card number has at least 13 digits
// and never two other characters in a row, so that it has a digit in any two
// neighbouring places of its inside.
const digitWindow = 12

const (
	shortestCard = 13
	longestCard  = 19
)

// appendCards appends the card numbers in text: 13 to 19 digits, in groups with
// the same blank or hyphen between them or without, whose first digits belong to
// an issuer and whose last digit is right (ISO/IEC 7812-1, Luhn).
func appendCards(dst []finding, text []byte) []finding {
	for i := digitWindow - 1; i < len(text); i += digitWindow {
		if !isDigit(text[i]) && (i+1 == len(text) || !isDigit(text[i+1])) {
			continue
		}
		start := i
		for start > 0 && (isDigit(text[start-1]) || isSeparator(text[start-1]) && start > 1 && isDigit(text[start-2])) {
			start--
		}
		if n := len(dst); n > 0 && dst[n-1].by == card && dst[n-1].end > start {
			start = dst[n-1].end
		}
		var end int
		dst, end = cardsOfRun(dst, text, start)
		for i+digitWindow < end {
			i += digitWindow
		}
	}
	return dst
}

func isDigit(c byte) bool     { return '0' <= c && c <= '9' }
func isSeparator(c byte) bool { return c == ' ' || c == '-' }

// group is a run of digits.
type group struct{ start, end int }

// maxGroups is the most groups of one number.
const maxGroups = 5

// cardsOfRun appends the numbers in the run of groups of digits, with single
// separators between them, that is at start, and returns where the run ends. Any
// groups of it that follow each other may be a number.
func cardsOfRun(dst []finding, text []byte, start int) ([]finding, int) {
	for start < len(text) && !isDigit(text[start]) {
		start++
	}
	var groups [maxGroups]group
	n, i := 0, start
	for {
		g := group{start: i}
		for i < len(text) && isDigit(text[i]) {
			i++
		}
		g.end = i
		if n == maxGroups {
			copy(groups[:], groups[1:])
			n--
		}
		groups[n] = g
		n++
		more := i+1 < len(text) && isSeparator(text[i]) && isDigit(text[i+1])
		// Every group may be the last of a number, and the first possible one begins it.
		for first := range n {
			if isCard(text, groups[first:n]) && bounded(text, groups[first].start, i) {
				dst = append(dst, finding{groups[first].start, i, card})
				n = 0
				break
			}
		}
		if !more {
			return dst, i
		}
		i++
	}
}

// bounded tells whether neither a letter nor a digit touches text[start:end].
func bounded(text []byte, start, end int) bool {
	return (start == 0 || !isWord(text[start-1])) && (end == len(text) || !isWord(text[end]))
}

func isLetter(c byte) bool { c |= 0x20; return 'a' <= c && c <= 'z' }
func isAlnum(c byte) bool  { return isLetter(c) || isDigit(c) }
func isWord(c byte) bool   { return isAlnum(c) || c == '_' }

// isCard checks groups of digits of text.
func isCard(text []byte, groups []group) bool {
	var digits [longestCard]byte
	n := 0
	for i, g := range groups {
		size := g.end - g.start
		if n+size > longestCard {
			return false
		}
		if len(groups) > 1 {
			// Four first, and no small rests, as numbers are printed on cards.
			if i == 0 && size != 4 || size < 3 || size > 6 {
				return false
			}
			if i > 1 && text[g.start-1] != text[groups[1].start-1] {
				return false
			}
		}
		n += copy(digits[n:], text[g.start:g.end])
	}
	return n >= shortestCard && hasIssuer(digits[:n]) && luhn(digits[:n])
}

// luhn checks the last digit.
func luhn(digits []byte) bool {
	sum := 0
	for i, c := range digits {
		d := int(c - '0')
		if (len(digits)-i)%2 == 0 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// hasIssuer tells whether the number begins and is as long as those of Visa,
// Mastercard, American Express, Discover, Diners Club, JCB, UnionPay, Maestro,
// Mir or RuPay.
func hasIssuer(d []byte) bool {
	n := len(d)
	first4 := int(d[0]-'0')*1000 + int(d[1]-'0')*100 + int(d[2]-'0')*10 + int(d[3]-'0')
	first2, first3 := first4/100, first4/10
	switch {
	case d[0] == '4':
		return n == 13 || n == 16 || n == 19
	case first2 == 34 || first2 == 37:
		return n == 15
	case first2 >= 51 && first2 <= 55, first4 >= 2221 && first4 <= 2720, first4 >= 2200 && first4 <= 2204:
		return n == 16
	case first3 >= 300 && first3 <= 305, first4 == 3095, first2 == 36, first2 == 38, first2 == 39:
		return n >= 14
	case first4 >= 3528 && first4 <= 3589:
		return n >= 16
	case first2 == 50, first2 >= 56 && first2 <= 69, first2 == 81, first2 == 82:
		return n >= 16
	}
	return false
}
