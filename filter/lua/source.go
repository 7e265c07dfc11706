package lua

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/parse"

	"github.com/kagarilog/kagari/option"
)

// source is the text of a script.
type source struct {
	name  string // for messages
	path  string // of a file, or empty
	chunk string // as the script's own messages name it
	text  string
}

// source reads the script that the options name.
func (c *Config) source(dir string) (source, error) {
	if c.Code != "" {
		return source{name: "in code", chunk: `[string "fluentbit.lua"]`, text: c.Code}, nil
	}
	if c.Script == "" {
		return source{}, errors.New("there is no script; give its path in script, or the script itself in code")
	}
	path := c.Script
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && !filepath.IsAbs(path) && dir != "" {
		path = filepath.Join(dir, path)
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return source{}, option.At("script", fmt.Errorf("read the script: %w", err))
	}
	if bytes.HasPrefix(text, []byte("\x1b")) {
		return source{}, option.At("script", fmt.Errorf("the script %s is compiled; its source is expected", path))
	}
	return source{name: path, path: path, chunk: path, text: string(withoutHead(text))}, nil
}

// withoutHead empties a byte order mark and a first line for the shell.
func withoutHead(text []byte) []byte {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	if !bytes.HasPrefix(text, []byte("#")) {
		return text
	}
	if end := bytes.IndexByte(text, '\n'); end >= 0 {
		return text[end:]
	}
	return nil
}

// loadTimeout is how long a script may take before its functions are there.
const loadTimeout = 30 * time.Second

// load compiles a script and runs it, so that its functions are there.
func (m *machine) load(s source) error {
	fn, err := m.compile(m.state, s.text, s.chunk)
	if err != nil {
		return s.explain(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), loadTimeout)
	defer cancel()
	defer m.brake.watch(ctx, 0)()
	m.state.Push(fn)
	if err := m.state.PCall(0, 0, nil); err != nil {
		return option.At(s.option(), fmt.Errorf("run the script %s: %w", s.name, scriptError(err)))
	}
	return nil
}

// compile makes a function of a text.
func (m *machine) compile(l *lua.LState, text, chunk string) (*lua.LFunction, error) {
	tree, err := parse.Parse(strings.NewReader(withPlainEscapes(text)), chunk)
	if err != nil {
		return nil, err
	}
	tree, wrapped := withConcat(tree)
	proto, err := lua.Compile(tree, chunk)
	if err != nil {
		return nil, err
	}
	fn := l.NewFunctionFromProto(proto)
	if !wrapped {
		return fn, nil
	}
	l.Push(fn)
	l.Push(m.concat)
	if err := l.PCall(1, 1, nil); err != nil {
		return nil, scriptError(err)
	}
	defer l.Pop(1)
	inner, ok := l.Get(-1).(*lua.LFunction)
	if !ok {
		panic("BUG: a wrapped script gives no function")
	}
	return inner, nil
}

// chunkError is the message of an error of compile for scripts, in the form of
// LuaJIT.
func chunkError(chunk string, err error) string {
	var syntax *parse.Error
	var compile *lua.CompileError
	switch {
	case errors.As(err, &syntax) && syntax.Pos.Line == parse.EOF:
		return fmt.Sprintf("%s: syntax error near '<eof>'", chunk)
	case errors.As(err, &syntax):
		return fmt.Sprintf("%s:%d: syntax error near '%s'", chunk, syntax.Pos.Line, syntax.Token)
	case errors.As(err, &compile):
		return fmt.Sprintf("%s:%d: %s", chunk, compile.Line, compile.Message)
	}
	return fmt.Sprintf("%s: %v", chunk, err)
}

// explain tells where in the script an error of compile is.
func (s source) explain(err error) error {
	var syntax *parse.Error
	var compile *lua.CompileError
	line, column, what, token := 0, 0, "", ""
	switch {
	case errors.As(err, &syntax):
		line, column, token = syntax.Pos.Line, syntax.Pos.Column, syntax.Token
		what = strings.TrimPrefix(strings.TrimSpace(syntax.Message), "syntax error: ")
		if line == parse.EOF {
			return s.at(len(strings.TrimRight(s.text, " \t\r\n")),
				fmt.Errorf("the script %s does not compile: %s at its end; an end, a bracket or a quote may be missing", s.name, what))
		}
		if token != "" {
			what += fmt.Sprintf(" near %q", token)
		}
	case errors.As(err, &compile):
		line, what = compile.Line, compile.Message
	default:
		return option.At(s.option(), fmt.Errorf("compile the script %s: %w", s.name, err))
	}
	start, text, ok := s.line(line)
	if !ok {
		return option.At(s.option(), fmt.Errorf("the script %s does not compile: line %d: %s", s.name, line, what))
	}
	// The compiler counts to the end of the word.
	within := min(max(column-len(token), 0), len(text))
	if column == 0 {
		within = len(text) - len(strings.TrimLeft(text, " \t"))
	}
	where := fmt.Sprintf("line %d", line)
	if column > 0 {
		where += fmt.Sprintf(", column %d", within+1)
	}
	return s.at(start+within, fmt.Errorf("the script %s does not compile: %s: %s, in %q", s.name, where, what, excerpt(text, column)))
}

// line returns a line, counted from 1, and where it starts.
func (s source) line(n int) (start int, text string, ok bool) {
	for ; n > 1; n-- {
		end := strings.IndexByte(s.text[start:], '\n')
		if end < 0 {
			return 0, "", false
		}
		start += end + 1
	}
	text, _, _ = strings.Cut(s.text[start:], "\n")
	return start, text, n == 1
}

// option is the option that the script was given with.
func (s source) option() string {
	if s.path != "" {
		return "script"
	}
	return "code"
}

// at says that err is about a place in the script.
func (s source) at(offset int, err error) error {
	if s.path != "" {
		return option.At("script", &option.FileError{Path: s.path, Text: s.text, Offset: offset, Err: err})
	}
	return option.At("code", option.Within(s.text, offset, err))
}

// excerpt returns a line, or if it is long the part around the column.
func excerpt(line string, column int) string {
	line = strings.TrimRight(line, "\r")
	const half = 60
	if len(line) <= 2*half {
		return strings.TrimSpace(line)
	}
	from := max(min(column, len(line))-half, 0)
	return strings.TrimSpace(strings.ToValidUTF8(line[from:min(from+2*half, len(line))], "?"))
}
