package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/parser"
	"github.com/kagarilog/kagari/parser/multiline"
)

// multilineParsers makes the multiline parsers of the configuration. The built-in
// ones come first in Fluent Bit, so that they cannot be replaced, and of two with
// the same name the first counts.
func (b *builder) multilineParsers() {
	builtin := multiline.BuiltinNames()
	for _, sec := range b.cfg.MultilineParsers {
		p, problems := multiline.New(sec.Props, sec.Pos, b.lineParser)
		b.problems = append(b.problems, problems...)
		if p == nil {
			continue
		}
		key := strings.ToLower(p.Name())
		switch {
		case slices.Contains(builtin, key):
			b.problem(option.Warning, sec.Pos, "multiline parser "+p.Name(), "the built-in parser of the same name is used and not this one; give it another name")
		case b.multiline[key] != nil:
			b.problem(option.Warning, sec.Pos, "multiline parser "+p.Name(), "another parser has the same name; the first one is used")
		default:
			b.addMultiline(key, p)
		}
	}
}

func (b *builder) addMultiline(key string, p *multiline.Parser) {
	p.SetLog(b.opts.Handler.Named("multiline:"+p.Name(), nil))
	b.multiline[key] = p
	b.engine.multiline = append(b.engine.multiline, p)
}

func (b *builder) lineParser(name string) (multiline.LineParser, error) { return b.parser(name) }

// multilineParser returns the multiline parser of a name.
func (b *builder) multilineParser(name string) (*multiline.Parser, error) {
	key := strings.ToLower(name)
	if p := b.multiline[key]; p != nil {
		return p, nil
	}
	if p := multiline.NewBuiltin(key); p != nil {
		if line, ok := p.LineParser().(*parser.Parser); ok {
			b.addParser(line)
		}
		b.addMultiline(key, p)
		return p, nil
	}
	known := multiline.BuiltinNames()
	for _, p := range b.multiline {
		known = append(known, p.Name())
	}
	err := fmt.Errorf("there is no multiline parser %q", name)
	if hint := option.DidYouMean(name, known); hint != "" {
		err = fmt.Errorf("%w; %s", err, hint)
	}
	return nil, err
}
