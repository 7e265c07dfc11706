package multiline_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/parser"
	"github.com/kagarilog/kagari/parser/multiline"
)

// TestRecords compares with records that Fluent Bit 5.1.1 made of the same
// lines. The files of testdata have these sections:
//
//	settings  options of tail or, with filter, of the filter multiline
//	parsers   a file of parsers
//	input     lines, or for the filter records in JSON
//	records   what came out, with the time if it was not the time of reading
func TestRecords(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			sections := readSections(t, file)
			s := newCase(t, sections)
			for line := range strings.Lines(sections["input"]) {
				line = strings.TrimSuffix(line, "\n")
				if strings.Contains(sections["settings"], "filter ") {
					s.event(now, "", line)
				} else {
					s.feed(line)
				}
			}
			s.Flush(s.batch, now)
			if got := s.take(); got != sections["records"] {
				t.Errorf("records\n%swant\n%s", got, sections["records"])
			}
		})
	}
}

func readSections(t *testing.T, file string) map[string]string {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	name := ""
	for line := range strings.Lines(string(text)) {
		if head, ok := strings.CutPrefix(line, "== "); ok {
			name = strings.TrimSpace(head)
		} else {
			sections[name] += line
		}
	}
	return sections
}

// newCase makes the stream that the settings of a file ask for.
func newCase(t *testing.T, sections map[string]string) *source {
	settings := map[string]string{}
	for line := range strings.Lines(sections["settings"]) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		settings[key] = value
	}
	dir := t.TempDir()
	parsers := filepath.Join(dir, "parsers.conf")
	write(t, parsers, "[PARSER]\n    Name none\n    Format json\n\n"+sections["parsers"])
	service := "[SERVICE]\n    Parsers_File " + parsers + "\n"
	if limit := settings["multiline_buffer_limit"]; limit != "" {
		service += "    multiline_buffer_limit " + limit + "\n"
	}
	write(t, filepath.Join(dir, "main.conf"), service)
	cfg, ps := config.Load(filepath.Join(dir, "main.conf"), config.LoadOptions{})
	if ps.HasErrors() {
		t.Fatal(ps.Err())
	}
	lines := map[string]*parser.Parser{}
	for _, sec := range cfg.Parsers {
		p, ps := parser.New("", sec.Props, sec.Pos)
		if p == nil {
			t.Fatal(ps.Err())
		}
		lines[p.Name()] = p
	}
	own := map[string]*multiline.Parser{}
	for _, sec := range cfg.MultilineParsers {
		p, ps := multiline.New(sec.Props, sec.Pos, func(name string) (multiline.LineParser, error) { return lines[name], nil })
		if p == nil {
			t.Fatal(ps.Err())
		}
		if key := strings.ToLower(p.Name()); own[key] == nil {
			own[key] = p
		}
	}
	var used []*multiline.Parser
	for _, name := range option.SplitComma(settings["multiline.parser"], 0) {
		key := strings.ToLower(name)
		if p := multiline.NewBuiltin(key); p != nil {
			used = append(used, p)
		} else {
			used = append(used, own[key])
		}
	}
	return newSource(t, multiline.Options{KeyContent: settings["key_content"], BufferLimit: cfg.Service.MultilineBufferLimit, Timeout: multiline.DefaultTimeout}, used...)
}

func write(t *testing.T, path, text string) {
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
