package main

import (
	"bytes"
	"math/bits"
	"sync/atomic"
)

// seen remembers which sequence numbers have arrived, one bit each. It is safe
// for concurrent use.
type seen struct {
	n          int
	bits       []atomic.Uint64
	unique     atomic.Int64
	duplicates atomic.Int64
	strange    atomic.Int64 // numbers that were never sent
}

func newSeen(n int) *seen {
	return &seen{n: n, bits: make([]atomic.Uint64, (n+63)/64)}
}

// add marks one sequence number.
func (s *seen) add(seq int) {
	i := seq - firstSeq
	if i < 0 || i >= s.n {
		s.strange.Add(1)
		return
	}
	bit := uint64(1) << (i % 64)
	if s.bits[i/64].Or(bit)&bit != 0 {
		s.duplicates.Add(1)
		return
	}
	s.unique.Add(1)
}

// missing returns how many have not arrived, counted from the bits themselves.
func (s *seen) missing() int {
	have := 0
	for i := range s.bits {
		have += bits.OnesCount64(s.bits[i].Load())
	}
	return s.n - have
}

// seqKey is the key of the sequence number in JSON. Inside of a string its quote
// would be escaped.
var seqKey = []byte(`"seq":`)

// addAll marks the sequence numbers of all records in a body of JSON and returns
// their number. It looks for the key only, because decoding JSON would cost more
// than what is measured.
func (s *seen) addAll(body []byte) (records int) {
	for {
		i := bytes.Index(body, seqKey)
		if i < 0 {
			return records
		}
		body = body[i+len(seqKey):]
		seq, digits := 0, 0
		for digits < len(body) && digits < 18 && body[digits]-'0' <= 9 {
			seq = seq*10 + int(body[digits]-'0')
			digits++
		}
		body = body[digits:]
		records++
		s.add(seq)
	}
}
