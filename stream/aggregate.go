package stream

import "math"

// aggregate is an aggregate function of a plan.
type aggregate struct {
	form     string // the same for the same aggregate
	function string
	arg      expr // nil for COUNT(*)
}

// maxNumberText is the longest text that aggregates take for a number, as in
// Fluent Bit.
const maxNumberText = 19

// numberOf returns the number that a value is to an aggregate.
func (o *Options) numberOf(v val) (val, bool) {
	if v.k == text && !o.KeepText && len(v.s) <= maxNumberText {
		return textToNumber(v.s)
	}
	return v, v.numeric()
}

// sum is what one aggregate knows of a group. It begins as an integer and turns
// into a float with the first float that is not zero, or when it overflows.
type sum struct {
	float  bool
	seen   bool // MIN and MAX have a value
	values int64
	i      int64
	f      float64
	line   *line // of a forecast
}

// add takes a value in. at is the time of the event.
func (s *sum) add(a *aggregate, v val, at int64, o *Options) {
	if a.function == "COUNT" {
		if v.k > null {
			s.values++
		}
		return
	}
	n, ok := o.numberOf(v)
	if !ok {
		return
	}
	s.values++
	if a.function == "TIMESERIES_FORECAST" {
		if s.line == nil {
			s.line = &line{offset: seconds(at)}
		}
		s.line.add(seconds(at), n.float())
		return
	}
	if n.k == floating && n.f != 0 {
		s.widen()
	}
	switch a.function {
	case "MIN":
		s.pick(n, -1)
	case "MAX":
		s.pick(n, 1)
	default:
		s.plus(n)
	}
}

// widen makes the sum a float.
func (s *sum) widen() {
	if !s.float {
		s.float, s.f = true, float64(s.i)
	}
}

func (s *sum) plus(n val) {
	if !s.float {
		if n.k == floating { // It is zero.
			return
		}
		if t := s.i + n.n; (t > s.i) == (n.n > 0) {
			s.i = t
			return
		}
		s.widen()
	}
	s.f += n.float()
}

// pick keeps the smaller value if sign is negative, else the greater one.
func (s *sum) pick(n val, sign int) {
	if s.float {
		order, _ := orderFloats(n.float(), s.f)
		if !s.seen || order == sign {
			s.f = n.float()
		}
	} else {
		i := n.n
		if !s.seen || orderInts(i, s.i) == sign {
			s.i = i
		}
	}
	s.seen = true
}

// merge takes in what another sum of the same aggregate knows.
func (s *sum) merge(a *aggregate, t *sum) {
	s.values += t.values
	if t.line != nil {
		if s.line == nil {
			l := *t.line
			s.line = &l
		} else {
			s.line.merge(t.line)
		}
	}
	if t.float {
		s.widen()
	}
	n := val{k: integer, n: t.i}
	if t.float {
		n = val{k: floating, f: t.f}
	}
	switch a.function {
	case "MIN", "MAX":
		if t.seen {
			sign := 1
			if a.function == "MIN" {
				sign = -1
			}
			s.pick(n, sign)
		}
	case "SUM", "AVG":
		s.plus(n)
	}
}

// result computes the aggregate. In Fluent Bit all aggregates are over all
// records of the group, with the key or without it, and floats have 32 bits.
func (s *sum) result(function string, records int64, distance float64, exact bool) val {
	float := func(f float64) val {
		if !exact {
			return val{k: narrow, f: float64(float32(f))}
		}
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return val{k: null}
		}
		return val{k: floating, f: f}
	}
	n := records
	if exact {
		n = s.values
	}
	total := s.f
	if !s.float {
		total = float64(s.i)
	}
	switch function {
	case "COUNT":
		return val{k: integer, n: n}
	case "TIMESERIES_FORECAST":
		if s.line == nil {
			return val{k: null}
		}
		return float(s.line.at(distance, n))
	case "AVG":
		if n == 0 {
			return val{k: null}
		}
		return float(total / float64(n))
	}
	if exact && s.values == 0 {
		return val{k: null}
	}
	if s.float {
		return float(s.f)
	}
	return val{k: integer, n: s.i}
}

// line is the sums of a linear regression of values over time in seconds, which
// is counted from offset to keep the digits.
type line struct {
	offset, latest float64
	n              float64
	x, y, xy, xx   float64
}

func (l *line) add(t, y float64) {
	x := t - l.offset
	l.latest = x
	l.n++
	l.x += x
	l.y += y
	l.xy += x * y
	l.xx += x * x
}

func (l *line) merge(o *line) {
	d := o.offset - l.offset
	l.latest = o.latest + d
	l.n += o.n
	l.x += o.x + o.n*d
	l.y += o.y
	l.xy += o.xy + d*o.y
	l.xx += o.xx + 2*d*o.x + o.n*d*d
}

// at is the value of the line some seconds behind the latest value.
func (l *line) at(distance float64, records int64) float64 {
	n := float64(records)
	meanX, meanY := l.x/n, l.y/n
	slope := (l.xy/n - meanX*meanY) / (l.xx/n - meanX*meanX)
	return meanY - slope*meanX + slope*(distance+l.latest)
}
