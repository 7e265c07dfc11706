package regex

// run tries to match at pos. On success m.caps holds the groups and, in its first pair, the match.
// searchStart is where the search began, for \G.
//
// The machine keeps what it may have to come back to on a stack of its own,
// so its Go stack does not grow with the text.
func (p *program) run(m *machine, s []byte, pos, searchStart int) status {
	for i := range m.caps {
		m.caps[i] = -1
	}
	m.keep, m.callTop = int32(pos), -1
	code, st, pc := p.code, m.stack[:0], 0
	for {
		in := &code[pc]
		switch in.op {
		case opMatch:
			m.caps[0], m.caps[1] = min(m.keep, int32(pos)), int32(pos)
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
			back := int32(pc) + 1
			pos = end
			if in.op == opCaptureRun {
				back++
			}
			if in.bits&instPossessive == 0 {
				if pos = giveBack(s, in.set, in.next, low, end); pos < 0 {
					break
				}
				if in.op == opCaptureRun && len(st) > 0 {
					st = append(st, frame{frameGroup, uint16(in.n), int32(start), m.caps[2*in.n], m.caps[2*in.n+1]})
				}
				if pos > low {
					st = append(st, frame{frameRun, 0, back, int32(pos), int32(low)})
				}
			} else if in.op == opCaptureRun && len(st) > 0 {
				st = append(st, frame{frameGroup, uint16(in.n), int32(start), m.caps[2*in.n], m.caps[2*in.n+1]})
			}
			if in.op == opCaptureRun {
				m.caps[2*in.n], m.caps[2*in.n+1] = int32(start), int32(pos)
				pc += 3
				continue
			}
			pc++
			continue

		case opRunLazy:
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
				st = append(st, frame{frameLazy, 0, int32(pc) + 1, int32(pos), int32(limit)})
			}
			pc++
			continue

		case opJump:
			pc = int(in.x)
			continue

		case opSplit:
			if in.next != nil && !in.next.allows(s, pos) {
				if in.other == nil || in.other.allows(s, pos) {
					pc = int(in.y)
					continue
				}
				break
			}
			if in.other == nil || in.other.allows(s, pos) {
				if len(st) >= maxFrames {
					return m.giveUp(st)
				}
				st = append(st, frame{frameWay, 0, in.y, int32(pos), 0})
			}
			pc = int(in.x)
			continue

		case opOpen:
			if len(st) > 0 || p.keepAll {
				st = append(st, frame{frameGroup, uint16(in.n), int32(pos), m.caps[2*in.n], m.caps[2*in.n+1]})
			}
			m.caps[2*in.n] = int32(pos)
			if p.hasRefs {
				m.caps[2*in.n+1] = -1
			}
			if p.recursive {
				st = m.openNested(st, p, in.n, int32(pos))
			}
			pc++
			continue

		case opClose:
			// Going back into the group leaves its end as it is, going back to before it resets both.
			if p.keepAll {
				st = append(st, frame{frameGroup, uint16(in.n), ^int32(pos), m.caps[2*in.n], m.caps[2*in.n+1]})
			}
			m.caps[2*in.n+1] = int32(pos)
			if p.recursive {
				m.caps[2*in.n] = m.slots[p.openSlot(in.n)]
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
				st = append(st, frame{kind: frameKeep, a: m.keep})
			}
			m.keep = int32(pos)
			pc++
			continue

		case opBackref:
			if end := m.backref(st, in, s, pos); end >= 0 {
				m.steps -= (end - pos) >> 5
				pos = end
				pc++
				continue
			}

		case opCall:
			if len(st) >= maxFrames {
				return m.giveUp(st)
			}
			st = append(st, frame{frameCall, 0, int32(pc) + 1, m.callTop, 0})
			m.callTop = int32(len(st)) - 1
			if p.recursive {
				for i, v := range m.slots {
					st = append(st, frame{frameSlot, uint16(i), 0, v, 0})
				}
			}
			pc = int(in.x)
			continue

		case opReturn:
			call := st[m.callTop]
			if p.recursive {
				st = m.restore(st)
			}
			st = append(st, frame{kind: frameReturn, a: m.callTop})
			m.callTop = call.a
			pc = int(call.pc)
			continue

		case opCondition:
			if m.caps[2*in.n] >= 0 && m.caps[2*in.n+1] >= 0 {
				pc++
			} else {
				pc = int(in.x)
			}
			continue

		case opAtomic:
			st = append(st, frame{kind: frameAtomic})
			pc++
			continue

		case opAtomicEnd:
			_, st = p.commit(st, frameAtomic)
			pc++
			continue

		case opLook:
			st = append(st, frame{kind: frameLook, a: int32(pos)})
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
			st = append(st, frame{frameNot, 0, in.y, int32(pos), 0})
			pc++
			continue

		case opNotBehind:
			back := stepBack(s, pos, int(in.n))
			if back < 0 {
				pc = int(in.y)
				continue
			}
			st = append(st, frame{frameNot, 0, in.y, int32(pos), 0})
			pos = back
			pc++
			continue

		case opNotLookEnd:
			for {
				f := &st[len(st)-1]
				st = st[:len(st)-1]
				if f.kind == frameNot {
					break
				}
				m.undo(f)
			}

		case opLoopOpen:
			if len(st) > 0 || in.bits&instCaptures != 0 {
				st = append(st, frame{frameSlot, uint16(in.n), 0, m.slots[in.n], 0})
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
				kind = m.round(st, uint16(in.n), int32(pos))
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
				st = append(st, frame{frameSlot, uint16(in.n), 0, m.slots[in.n], 0})
			}
			m.slots[in.n] = 0
			pc++
			continue

		case opCountCheck:
			switch count := m.slots[in.n]; {
			case count < in.low:
				pc = int(in.x)
			case count >= in.high:
				pc = int(in.y)
			case len(st) >= maxFrames:
				return m.giveUp(st)
			case in.bits&instGreedy != 0:
				st = append(st, frame{frameWay, 0, in.y, int32(pos), 0})
				pc = int(in.x)
			default:
				st = append(st, frame{frameWay, 0, in.x, int32(pos), 0})
				pc = int(in.y)
			}
			continue

		case opCountUp:
			if len(st) > 0 {
				st = append(st, frame{frameSlot, uint16(in.n), 0, m.slots[in.n], 0})
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
			switch f.kind {
			case frameWay, frameNot:
				pc, pos = int(f.pc), int(f.a)
				st = st[:len(st)-1]

			case frameRun:
				run := &code[f.pc-1]
				pc, pos = int(f.pc), prevChar(s, int(f.b), int(f.a))
				pos = giveBack(s, run.set, run.next, int(f.b), pos)
				if pos < 0 {
					st = st[:len(st)-1]
					continue
				}
				if f.a = int32(pos); f.a <= f.b {
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
				m.undo(f)
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
