package main

import (
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// picture is a terminal that is drawn anew in place. Where the output is none,
// it does nothing.
type picture struct {
	out      io.Writer
	terminal bool
	keys     chan byte // nil if no keys are read
	restore  func()
}

// takeTerminal takes over the terminal, if there is one and it is wanted: another
// screen, no cursor, and keys as they are pressed.
func (p *program) takeTerminal(wanted bool) *picture {
	pic := &picture{out: p.out, restore: func() {}}
	out, ok := p.out.(*os.File)
	if !wanted || !ok || !term.IsTerminal(int(out.Fd())) {
		return pic
	}
	pic.terminal = true
	if in, ok := p.in.(*os.File); ok && term.IsTerminal(int(in.Fd())) {
		if before, err := term.MakeRaw(int(in.Fd())); err == nil {
			pic.restore = func() { _ = term.Restore(int(in.Fd()), before) }
			pic.keys = make(chan byte)
			go pic.read(in)
		}
	}
	_, _ = io.WriteString(pic.out, "\x1b[?1049h\x1b[?25l")
	return pic
}

// read passes keys on. Nothing can end its reading of a terminal, so it lives
// as long as the process, which is about to end when nobody receives any more.
func (pic *picture) read(in io.Reader) {
	buf := make([]byte, 64)
	for {
		n, err := in.Read(buf)
		for _, key := range buf[:n] {
			pic.keys <- key
		}
		if err != nil {
			close(pic.keys)
			return
		}
	}
}

// draw puts the lines on the screen. What was there is overwritten, not
// cleared first, so that nothing flickers.
func (pic *picture) draw(lines []string) error {
	var b strings.Builder
	b.WriteString("\x1b[H")
	for i, line := range lines {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(line)
		b.WriteString("\x1b[K")
	}
	b.WriteString("\x1b[J")
	_, err := io.WriteString(pic.out, b.String())
	return err
}

// end gives the terminal back as it was.
func (pic *picture) end() {
	if pic.terminal {
		_, _ = io.WriteString(pic.out, "\x1b[?25h\x1b[?1049l")
		pic.restore()
	}
}

// terminalSize returns 0, 0 if w is no terminapic.
func terminalSize(w io.Writer) (columns, lines int) {
	f, ok := w.(*os.File)
	if !ok {
		return 0, 0
	}
	columns, lines, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0, 0
	}
	return columns, lines
}
