package regex

import "bytes"

// run tries to match at pos, from instruction pc on. On success caps holds pairs of offsets:
// the match and the groups, -1 if unset.
// searchStart is where the search began, for \G.
//
// The machine keeps what it may have to come back to on a stack of its own,
// so its Go stack does not grow with the text. Every loop of a program passes an opSplit, an opCountCheck or
// an opCall, and these keep that stack within its limit.
func (p *program) run(m *machine, s []byte, caps []int, pc, pos, searchStart int) status {
	for i := range caps {
		caps[i] = -1
	}
	m.keep, m.callTop = int32(pos), -1
	code, st := p.code, m.stack[:0]
	for {
		in := &code[pc]
		switch in.op {
		case opMatch:
			caps[0], caps[1] = min(int(m.keep), pos), pos
			m.stack = st
			return matched

		case opFail:

		case opByte:
			if pos < len(s) && s[pos] == in.b {
				pos++
				pc++
				continue
			}

		case opLiteral:
			if n := len(in.lit); len(s)-pos >= n && string(s[pos:pos+n]) == in.lit {
				pos += n
				pc++
				continue
			}

		case opSet:
			if pos < len(s) {
				if n := in.set.step(s, pos); n > 0 {
					pos += n
					pc++
					continue
				}
			}

		case opRun, opCaptureRun:
			if m.stride > 0 && in.enter > 0 && m.tried(in.enter, pos) {
				break
			}
			start, end, low := pos, 0, 0
			if in.bits&instByteRun != 0 {
				limit := len(s)
				if int(in.high) < limit-pos {
					limit = pos + int(in.high)
				}
				end = in.set.runEnd(s, pos, limit)
				low = pos + int(in.low)
				if low > end {
					break
				}
				if low > pos && !in.set.ascii {
					low = pos + charLen(s, pos)
				}
			} else if end, low = in.set.charRun(s, pos, int(in.low), int(in.high)); low < 0 {
				break
			}
			m.steps -= (end - pos) >> 5
			if in.bits&instPossessive != 0 {
				pos = end
			} else if pos = giveBack(s, in.set, in.next, low, end); pos < 0 {
				break
			}
			if in.op == opCaptureRun {
				if len(st) > 0 && in.bits&instSure == 0 {
					st = append(st, frame{about(frameGroup, in.n), int32(start), int32(caps[2*in.n]), int32(caps[2*in.n+1])})
				}
				caps[2*in.n], caps[2*in.n+1] = start, pos
				pc += 2
			}
			pc++
			if in.bits&instPossessive == 0 && pos > low {
				if less := giveBack(s, in.set, in.next, low, prevChar(s, low, pos)); less >= 0 {
					// A captured run goes back to the opClose, which ends its group.
					back := int32(pc)
					if in.op == opCaptureRun {
						back--
					}
					st = append(st, frame{frameRun, back, int32(less), int32(low)})
				}
			}
			continue

		case opUntil:
			n := bytes.IndexByte(s[pos:], in.b)
			if n < 0 {
				if in.bits&instSkip != 0 {
					m.steps -= (len(s) - pos) >> 6
					break
				}
				n = len(s) - pos
			}
			if n < int(in.low) {
				break
			}
			m.steps -= n >> 6
			if in.n > 0 {
				if len(st) > 0 && in.bits&instSure == 0 {
					st = append(st, frame{about(frameGroup, in.n), int32(pos), int32(caps[2*in.n]), int32(caps[2*in.n+1])})
				}
				caps[2*in.n], caps[2*in.n+1] = pos, pos+n
			}
			pos += n
			if in.bits&instSkip != 0 {
				pos++
			}
			pc = int(in.x)
			continue

		case opSpan:
			rest := s[pos:]
			if int(in.high) < len(rest) {
				rest = rest[:in.high]
			}
			n := len(rest)
			members := &in.set.first
			for i, b := range rest {
				if !members[b] {
					n = i
					break
				}
			}
			if n < int(in.low) {
				break
			}
			m.steps -= n >> 5
			if in.n > 0 {
				if len(st) > 0 && in.bits&instSure == 0 {
					st = append(st, frame{about(frameGroup, in.n), int32(pos), int32(caps[2*in.n]), int32(caps[2*in.n+1])})
				}
				caps[2*in.n], caps[2*in.n+1] = pos, pos+n
			}
			pos += n
			if in.bits&instSkip != 0 {
				if pos == len(s) || s[pos] != in.b {
					break
				}
				pos++
			}
			pc = int(in.x)
			continue

		case opRunLazy:
			if m.stride > 0 && in.enter > 0 && m.tried(in.enter, pos) {
				break
			}
			limit, low := len(s), pos
			if in.low > 0 || in.high != unbounded {
				if limit, low = in.set.charRun(s, pos, int(in.low), int(in.high)); low < 0 {
					break
				}
				m.steps -= (limit - pos) >> 3
			}
			start := pos
			if pos = takeMore(s, in.set, in.next, low, limit); pos < 0 {
				m.steps -= (len(s) - start) >> 6
				break
			}
			m.steps -= (pos - start) >> 5
			if pos < limit {
				st = append(st, frame{frameLazy, int32(pc) + 1, int32(pos), int32(limit)})
			}
			pc++
			continue

		case opJump:
			pc = int(in.x)
			continue

		case opSplit:
			if len(st) >= maxFrames {
				return m.giveUp(st)
			}
			if in.next != nil && !in.next.allows(s, pos) {
				if in.other == nil || in.other.allows(s, pos) {
					pc = int(in.y)
					continue
				}
				break
			}
			if in.other == nil || in.other.allows(s, pos) {
				st = append(st, frame{frameWay, in.y, int32(pos), 0})
			}
			pc = int(in.x)
			continue

		case opOpen:
			if (len(st) > 0 || p.keepAll) && in.bits&instSure == 0 {
				st = append(st, frame{about(frameGroup, in.n), int32(pos), int32(caps[2*in.n]), int32(caps[2*in.n+1])})
			}
			caps[2*in.n] = pos
			if p.hasRefs {
				caps[2*in.n+1] = -1
			}
			if p.recursive {
				st = m.openNested(st, p, in.n, int32(pos))
			}
			pc++
			continue

		case opClose:
			// Going back into the group leaves its end as it is, going back to before it resets both.
			if p.keepAll {
				st = append(st, frame{about(frameGroup, in.n), ^int32(pos), int32(caps[2*in.n]), int32(caps[2*in.n+1])})
			}
			caps[2*in.n+1] = pos
			if p.recursive {
				caps[2*in.n] = int(m.slots[p.openSlot(in.n)])
			}
			pc++
			continue

		case opEndLine:
			if pos == len(s) || s[pos] == '\n' {
				pc++
				continue
			}

		case opBeginLine:
			if pos == 0 || pos < len(s) && s[pos-1] == '\n' {
				pc++
				continue
			}

		case opBeginText:
			if pos == 0 {
				pc++
				continue
			}

		case opEndText:
			if pos == len(s) {
				pc++
				continue
			}

		case opEndTextOrLine:
			if pos == len(s) || pos == len(s)-1 && s[pos] == '\n' {
				pc++
				continue
			}

		case opSearchStart:
			if pos == searchStart {
				pc++
				continue
			}

		case opBoundary:
			a := assertion(in.n)
			if atBoundary(s, pos, a >= asciiBoundary) == (a == wordBoundary || a == asciiBoundary) {
				pc++
				continue
			}

		case opKeep:
			if len(st) > 0 {
				st = append(st, frame{what: frameKeep, a: m.keep})
			}
			m.keep = int32(pos)
			pc++
			continue

		case opBackref:
			if end := backref(st, caps, in, s, pos); end >= 0 {
				m.steps -= (end - pos) >> 5
				pos = end
				pc++
				continue
			}

		case opCall:
			if len(st) >= maxFrames {
				return m.giveUp(st)
			}
			st = append(st, frame{frameCall, int32(pc) + 1, m.callTop, 0})
			m.callTop = int32(len(st)) - 1
			if p.recursive {
				for i, v := range m.slots {
					st = append(st, frame{about(frameSlot, int32(i)), 0, v, 0})
				}
			}
			pc = int(in.x)
			continue

		case opReturn:
			call := st[m.callTop]
			if p.recursive {
				st = m.restore(st)
			}
			st = append(st, frame{what: frameReturn, a: m.callTop})
			m.callTop = call.a
			pc = int(call.pc)
			continue

		case opCondition:
			if caps[2*in.n] >= 0 && caps[2*in.n+1] >= 0 {
				pc++
			} else {
				pc = int(in.x)
			}
			continue

		case opAtomic:
			st = append(st, frame{what: frameAtomic})
			pc++
			continue

		case opAtomicEnd:
			_, st = p.commit(st, frameAtomic)
			pc++
			continue

		case opLook:
			st = append(st, frame{what: frameLook, a: int32(pos)})
			pc++
			continue

		case opLookEnd:
			var look frame
			look, st = p.commit(st, frameLook)
			pos = int(look.a)
			pc++
			continue

		case opBehind:
			if back := stepBack(s, pos, int(in.n)); back >= 0 {
				pos = back
				pc++
				continue
			}

		case opNotLook:
			st = append(st, frame{frameNot, in.y, int32(pos), 0})
			pc++
			continue

		case opNotBehind:
			back := stepBack(s, pos, int(in.n))
			if back < 0 {
				pc = int(in.y)
				continue
			}
			st = append(st, frame{frameNot, in.y, int32(pos), 0})
			pos = back
			pc++
			continue

		case opNotLookEnd:
			for {
				f := &st[len(st)-1]
				st = st[:len(st)-1]
				if f.kind() == frameNot {
					break
				}
				m.undo(f, caps)
			}

		case opLoopOpen:
			if len(st) > 0 || in.bits&instCaptures != 0 {
				st = append(st, frame{about(frameSlot, in.n), 0, m.slots[in.n], 0})
			}
			m.slots[in.n] = int32(pos)
			pc++
			continue

		case opLoopClose:
			if m.slots[in.n] != int32(pos) {
				pc++
				continue
			}
			kind := roundEmpty
			if in.bits&instCaptures != 0 {
				kind = round(st, caps, in.n, int32(pos))
			}
			if kind == roundProgress {
				pc++
				continue
			}
			if kind == roundEmpty {
				pc = int(in.y)
				continue
			}

		case opCountInit:
			if len(st) > 0 {
				st = append(st, frame{about(frameSlot, in.n), 0, m.slots[in.n], 0})
			}
			m.slots[in.n] = 0
			pc++
			continue

		case opCountCheck:
			switch count := m.slots[in.n]; {
			case len(st) >= maxFrames:
				return m.giveUp(st)
			case count < in.low:
				pc = int(in.x)
			case count >= in.high:
				pc = int(in.y)
			case in.bits&instGreedy != 0:
				st = append(st, frame{frameWay, in.y, int32(pos), 0})
				pc = int(in.x)
			default:
				st = append(st, frame{frameWay, in.x, int32(pos), 0})
				pc = int(in.y)
			}
			continue

		case opCountUp:
			if len(st) > 0 {
				st = append(st, frame{about(frameSlot, in.n), 0, m.slots[in.n], 0})
			}
			m.slots[in.n]++
			pc++
			continue
		}

		// Nothing more on this way: take the last one not tried.
	back:
		for {
			if len(st) == 0 {
				m.stack = st
				return noMatch
			}
			if m.steps--; m.steps < m.memoAt {
				m.remember(p, len(s))
			}
			if m.steps < 0 {
				return m.giveUp(st)
			}
			f := &st[len(st)-1]
			switch f.kind() {
			case frameWay, frameNot:
				pc, pos = int(f.pc), int(f.a)
				st = st[:len(st)-1]

			case frameRun:
				run := &code[f.pc-1]
				pc, pos = int(f.pc), int(f.a)
				less := -1
				if f.a > f.b {
					less = giveBack(s, run.set, run.next, int(f.b), prevChar(s, int(f.b), pos))
				}
				if f.a = int32(less); less < 0 {
					st = st[:len(st)-1]
				}

			case frameLazy:
				run := &code[f.pc-1]
				from := int(f.a)
				pc, pos = int(f.pc), from
				n := 0
				if pos < len(s) {
					n = run.set.step(s, pos)
				}
				if n == 0 {
					st = st[:len(st)-1]
					continue
				}
				if pos = takeMore(s, run.set, run.next, pos+n, int(f.b)); pos < 0 {
					m.steps -= (len(s) - from) >> 6
					st = st[:len(st)-1]
					continue
				}
				m.steps -= (pos - from) >> 5
				if f.a = int32(pos); f.a >= f.b {
					st = st[:len(st)-1]
				}

			default:
				m.undo(f, caps)
				st = st[:len(st)-1]
				continue
			}
			if m.stride > 0 {
				if id := code[pc].memo; id > 0 && m.tried(id, pos) {
					continue
				}
			}
			break back
		}
	}
}

// giveUp ends a match that took too many steps or too much memory.
func (m *machine) giveUp(st []frame) status {
	m.stack = st[:0]
	return outOfSteps
}
