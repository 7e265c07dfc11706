package forward

import (
	"io"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"
)

// pieces gives b in pieces of random length.
type pieces struct {
	b   []byte
	rnd *rand.Rand
}

func (p *pieces) Read(dst []byte) (int, error) {
	if len(p.b) == 0 {
		return 0, io.EOF
	}
	n := 1
	switch p.rnd.IntN(3) {
	case 0:
		n += p.rnd.IntN(8)
	case 1:
		n += p.rnd.IntN(len(p.b))
	}
	n = copy(dst, p.b[:min(n, len(p.b))])
	p.b = p.b[n:]
	return n, nil
}

// sameInPieces checks that splitting the input makes no difference.
func sameInPieces(t *testing.T, b []byte, seed uint64) {
	whole := decodeBytes(t, b)
	split := decodeFrom(t, &pieces{b, rand.New(rand.NewPCG(seed, 1))}, &tagRule{def: "default"})
	byTag := func(r result) string {
		sort.SliceStable(r.events, func(i, j int) bool { return r.events[i].Tag < r.events[j].Tag })
		return lines(r.events)
	}
	if w, s := byTag(whole), byTag(split); w != s {
		t.Errorf("events in one piece:\n%s\nin several:\n%s", w, s)
	}
	sort.Strings(whole.acks)
	sort.Strings(split.acks)
	if !slices.Equal(whole.acks, split.acks) {
		t.Errorf("acknowledged %q in one piece, %q in several", whole.acks, split.acks)
	}
	if (whole.reason == "") != (split.reason == "") {
		t.Errorf("%q in one piece, %q in several", whole.reason, split.reason)
	}
	if whole.groups != split.groups {
		t.Errorf("%d markers in one piece, %d in several", whole.groups, split.groups)
	}
}

func samples() [][]byte {
	p3 := packEntries(3)
	return [][]byte{
		pack(list{"t", sec, dict{"a", 1}}, nil, list{"u", eventTime{sec, 5}, dict{"a", 1}, dict{"chunk", "c", "metadata", dict{"m", 1}}}),
		pack(list{"t", list{entry1(0), entry1(1), list{list{eventTime{sec, 1}, dict{"m", 1}}, dict{"b", "x"}}}, dict{"chunk", "f"}}),
		pack(list{"t", bin(p3), dict{"chunk", "p"}}, list{"t", string(p3)}),
		pack(list{"t", bin(gz(p3)), dict{"chunk", "g", "compressed", "gzip"}}, list{"t", bin(zs(p3)), dict{"chunk", "z", "compressed", "zstd"}}),
		pack(list{"t", list{list{1.5, dict{}}, list{list{sec, dict{}}, dict{"a", nil}}}}),
		pack(list{"t", bin(pack(dict{"meta", 1})), dict{"fluent_signal", 1}}, list{"t", sec, dict{}}),
		pack(list{"t", list{list{list{eventTime{1<<32 - 1, 0}, dict{}}, dict{}}, entry1(1)}, dict{"chunk", "g"}}),
	}
}

func TestPiecesMakeNoDifference(t *testing.T) {
	large := pack(list{"t", bin(entries(200, 700)), dict{"chunk", "big"}}, list{"t", sec, dict{"a", strings.Repeat("y", 70<<10)}, dict{"chunk", "large"}})
	for i, b := range append(samples(), large) {
		for seed := range uint64(20) {
			sameInPieces(t, b, seed)
			if t.Failed() {
				t.Fatalf("sample %d, seed %d", i, seed)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	for i, b := range samples() {
		f.Add(b, uint64(i))
	}
	f.Fuzz(func(t *testing.T, b []byte, seed uint64) {
		if len(b) > 1<<20 {
			return
		}
		sameInPieces(t, b, seed)
	})
}
