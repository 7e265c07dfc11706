package regex

import "unicode"

// graphemeCluster is \X, an extended grapheme cluster as Unicode Standard Annex 29 defines it,
// with a lone character of any kind where the rules find none.
// The break properties are derived from the tables of the standard library.
func graphemeCluster(offset int) *node {
	set := func(c charset) *node { return &node{kind: nodeSet, offset: offset, set: c} }
	lit := func(s string) *node { return &node{kind: nodeLiteral, offset: offset, lit: []byte(s)} }
	repeat := func(n *node, low, high int) *node {
		return &node{kind: nodeRepeat, offset: offset, subs: []*node{n}, low: low, high: high, greedy: true}
	}
	seq := func(ns ...*node) *node { return concat(offset, ns) }
	alt := func(ns ...*node) *node { return alternate(offset, ns) }

	const zwj = 0x200D
	zeroWidth := charsetOf(0x200C, zwj)
	prepend := charsetOfTables(unicode.Prepended_Concatenation_Mark).union(charsetOf(
		0xD4E, 0xD4E, 0x111C2, 0x111C3, 0x1193F, 0x1193F, 0x11941, 0x11941, 0x11A3A, 0x11A3A, 0x11A84, 0x11A89, 0x11D46, 0x11D46, 0x11F02, 0x11F02))
	extend := charsetOfTables(unicode.Me, unicode.Mn, unicode.Other_Grapheme_Extend).
		union(charsetOf(0x1F3FB, 0x1F3FF)).union(zeroWidth)
	control := charsetOfTables(unicode.Zl, unicode.Zp, unicode.Cc, unicode.Cf, unicode.Cs).
		intersect(zeroWidth.union(prepend).union(extend).negate())
	spacing := charsetOfTables(unicode.Mc).union(charsetOf(0xE33, 0xE33, 0xEB3, 0xEB3)).intersect(extend.negate())
	lead := charsetOf(0x1100, 0x115F, 0xA960, 0xA97C)
	vowel := charsetOf(0x1160, 0x11A7, 0xD7B0, 0xD7C6)
	trail := charsetOf(0x11A8, 0x11FF, 0xD7CB, 0xD7FB)
	var open, closed []charRange // syllables without and with a final consonant
	for s := rune(0xAC00); s <= 0xD7A3; s += 28 {
		open = append(open, charRange{s, s})
		closed = append(closed, charRange{s + 1, s + 27})
	}
	flag := set(charsetOfTables(unicode.Regional_Indicator))
	picture := set(pictographic())

	syllable := seq(
		repeat(set(lead), 0, infinite),
		alt(repeat(set(vowel), 1, infinite), seq(set(newCharset(open)), repeat(set(vowel), 0, infinite)), set(newCharset(closed))),
		repeat(set(trail), 0, infinite))
	pictures := seq(picture, repeat(seq(repeat(set(extend), 0, infinite), lit("\u200D"), picture), 0, infinite))
	core := alt(syllable, repeat(set(lead), 1, infinite), repeat(set(trail), 1, infinite),
		seq(flag, flag), pictures, set(control.negateRunes()))
	cluster := seq(repeat(set(prepend), 0, infinite), core,
		repeat(set(extend.union(spacing)), 0, infinite))
	all := alt(lit("\r\n"), set(control), cluster, set(charset{}.negate()))
	return &node{kind: nodeOption, offset: offset, subs: []*node{{kind: nodeAtomic, offset: offset, subs: []*node{all}}}}
}

// pictographic is the property Extended_Pictographic of Unicode 15 (emoji-data.txt), which the standard library lacks.
func pictographic() charset {
	return charsetOf(
		0xA9, 0xA9, 0xAE, 0xAE, 0x203C, 0x203C, 0x2049, 0x2049, 0x2122, 0x2122, 0x2139, 0x2139, 0x2194, 0x2199,
		0x21A9, 0x21AA, 0x231A, 0x231B, 0x2328, 0x2328, 0x2388, 0x2388, 0x23CF, 0x23CF, 0x23E9, 0x23F3, 0x23F8, 0x23FA,
		0x24C2, 0x24C2, 0x25AA, 0x25AB, 0x25B6, 0x25B6, 0x25C0, 0x25C0, 0x25FB, 0x25FE, 0x2600, 0x2605, 0x2607, 0x2612,
		0x2614, 0x2685, 0x2690, 0x2705, 0x2708, 0x2712, 0x2714, 0x2714, 0x2716, 0x2716, 0x271D, 0x271D, 0x2721, 0x2721,
		0x2728, 0x2728, 0x2733, 0x2734, 0x2744, 0x2744, 0x2747, 0x2747, 0x274C, 0x274C, 0x274E, 0x274E, 0x2753, 0x2755,
		0x2757, 0x2757, 0x2763, 0x2767, 0x2795, 0x2797, 0x27A1, 0x27A1, 0x27B0, 0x27B0, 0x27BF, 0x27BF, 0x2934, 0x2935,
		0x2B05, 0x2B07, 0x2B1B, 0x2B1C, 0x2B50, 0x2B50, 0x2B55, 0x2B55, 0x3030, 0x3030, 0x303D, 0x303D, 0x3297, 0x3297,
		0x3299, 0x3299, 0x1F000, 0x1F0FF, 0x1F10D, 0x1F10F, 0x1F12F, 0x1F12F, 0x1F16C, 0x1F171, 0x1F17E, 0x1F17F,
		0x1F18E, 0x1F18E, 0x1F191, 0x1F19A, 0x1F1AD, 0x1F1E5, 0x1F201, 0x1F20F, 0x1F21A, 0x1F21A, 0x1F22F, 0x1F22F,
		0x1F232, 0x1F23A, 0x1F23C, 0x1F23F, 0x1F249, 0x1F3FA, 0x1F400, 0x1F53D, 0x1F546, 0x1F64F, 0x1F680, 0x1F6FF,
		0x1F774, 0x1F77F, 0x1F7D5, 0x1F7FF, 0x1F80C, 0x1F80F, 0x1F848, 0x1F84F, 0x1F85A, 0x1F85F, 0x1F888, 0x1F88F,
		0x1F8AE, 0x1F8FF, 0x1F90C, 0x1F93A, 0x1F93C, 0x1F945, 0x1F947, 0x1FAFF, 0x1FC00, 0x1FFFD)
}
