package multiline

import (
	"slices"

	"github.com/kagarilog/kagari/regex"
)

// startState is the state in which a record begins.
const startState = "start_state"

// rule is a line of a regex parser: in one of the states from, a line that
// matches leads to the state to.
type rule struct {
	from []string
	to   string // "" for none: only a start can follow
	re   *regex.Regexp
	// quick, if not nil, has the result of re and takes less time.
	quick func(text []byte) bool

	starts bool    // may begin a record; then it never continues one, even if from has more states
	next   []*rule // that may continue a record after this one
	ends   bool    // a record may begin after this one, so this line is the last
}

// matches tells whether text fits r, a rule of p.
func (p *Parser) matches(r *rule, text []byte) bool {
	if r.quick != nil {
		return r.quick(text)
	}
	ok, err := r.re.TryMatch(text)
	if err != nil {
		p.givenUp.Add(1)
		p.log.Warn("cannot match a line with a rule", "rule", r.re.String(), "line", string(text[:min(len(text), show)]), "error", err)
	}
	return ok
}

// show is how many bytes of a line a message quotes at most.
const show = 128

// link finds out which rules can follow each other.
func link(rules []*rule) {
	for _, r := range rules {
		for _, n := range rules {
			switch {
			case !slices.Contains(n.from, r.to):
			case n.starts:
				r.ends = true
			default:
				r.next = append(r.next, n)
			}
		}
	}
}

// start returns the first rule that lets text begin a record, or nil.
func (p *Parser) start(text []byte) *rule {
	for _, r := range p.starts {
		if p.matches(r, text) {
			return r
		}
	}
	return nil
}
