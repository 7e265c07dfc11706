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
)

// source is the text of a script.
type source struct {
	name  string // for messages
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
		return source{}, fmt.Errorf("read the script: %w", err)
	}
	if bytes.HasPrefix(text, []byte("\x1b")) {
		return source{}, fmt.Errorf("the script %s is compiled; its source is expected", path)
	}
	return source{name: path, chunk: path, text: string(withoutHead(text))}, nil
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
		return fmt.Errorf("run the script %s: %w", s.name, scriptError(err))
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

// explain tells where in the script an error is.
func (s source) explain(err error) error {
	var syntax *parse.Error
	var compile *lua.CompileError
	line, column, what := 0, 0, ""
	switch {
	case errors.As(err, &syntax):
		line, column = syntax.Pos.Line, syntax.Pos.Column
		what = strings.TrimPrefix(strings.TrimSpace(syntax.Message), "syntax error: ")
		if line == parse.EOF {
			return fmt.Errorf("the script %s does not compile: %s at its end; an end, a bracket or a quote may be missing", s.name, what)
		}
		if syntax.Token != "" {
			what += fmt.Sprintf(" near %q", syntax.Token)
		}
	case errors.As(err, &compile):
		line, what = compile.Line, compile.Message
	default:
		return fmt.Errorf("compile the script %s: %w", s.name, err)
	}
	where := fmt.Sprintf("line %d", line)
	if column > 0 {
		where += fmt.Sprintf(", column %d", column)
	}
	lines := strings.Split(s.text, "\n")
	if line < 1 || line > len(lines) {
		return fmt.Errorf("the script %s does not compile: %s: %s", s.name, where, what)
	}
	return fmt.Errorf("the script %s does not compile: %s: %s, in %q", s.name, where, what, excerpt(lines[line-1], column))
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
