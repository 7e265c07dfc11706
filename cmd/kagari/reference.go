package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kagarilog/kagari/builtin"
	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/pipetest"
	"github.com/kagarilog/kagari/plugin"
)

// referenceCommand writes the pages of docs/reference from the option fields.
func (p *program) referenceCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "reference DIR",
		Short:  "Write the reference pages and the JSON schema",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			pages, err := referencePages()
			if err == nil {
				err = writePages(args[0], pages)
			}
			if err != nil {
				return p.failed(err)
			}
			return nil
		},
	}
}

// referencePages returns the contents of the files by name.
func referencePages() (map[string][]byte, error) {
	pages := map[string][]byte{}
	var index bytes.Buffer
	index.WriteString("# Reference\n\nEvery plugin and option, written from the program itself (`make generate`). `kagari help input tail` prints the same in a terminal.\n\n" +
		"- [service](service.md): the options of the process\n- [common](common.md): the options that every input, filter and output has\n- [kagari.schema.json](kagari.schema.json): JSON schema of the YAML form; [kagari-test.schema.json](kagari-test.schema.json) that of [tests](../testing.md)\n")
	for _, kind := range []plugin.Kind{plugin.KindInput, plugin.KindFilter, plugin.KindProcessor, plugin.KindOutput} {
		first := true
		for _, d := range builtin.Registry().All() {
			if d.Kind != kind || d.Hidden {
				continue
			}
			if first {
				fmt.Fprintf(&index, "\n## %ss\n\n", strings.ToUpper(kind.String()[:1])+kind.String()[1:])
				first = false
			}
			name := fmt.Sprintf("%s-%s.md", kind, d.Name)
			fmt.Fprintf(&index, "- [%s](%s): %s\n", d.Name, name, d.Summary)
			pages[name] = pluginPage(d)
		}
	}
	pages["README.md"] = index.Bytes()
	pages["service.md"] = fieldsPage("service", "The options of the `[SERVICE]` section, in YAML `service:`.", (&config.Service{}).Fields())
	var common bytes.Buffer
	common.WriteString("# Common options\n\nThe router handles these for every plugin.\n")
	for _, part := range []struct {
		name   string
		fields []option.Field
	}{
		{"Inputs", (&config.InputOptions{}).Fields()},
		{"Filters", (&config.FilterOptions{}).Fields()},
		{"Processors", (&config.FilterOptions{}).ProcessorFields(plugin.KindProcessor)},
		{"Outputs", (&config.OutputOptions{}).Fields()},
	} {
		fmt.Fprintf(&common, "\n## %s\n\n", part.name)
		writeFields(&common, part.fields)
	}
	pages["common.md"] = common.Bytes()
	schema, err := config.Schema(builtin.Registry())
	if err != nil {
		return nil, err
	}
	pages["kagari.schema.json"] = append(bytes.TrimSpace(schema), '\n')
	if pages["kagari-test.schema.json"], err = pipetest.Schema(); err != nil {
		return nil, err
	}
	return pages, nil
}

func pluginPage(d *plugin.Def) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# %s: %s\n\n", d.Kind, d.Name)
	if len(d.Aliases) > 0 {
		fmt.Fprintf(&b, "Also called `%s`.\n\n", strings.Join(d.Aliases, "`, `"))
	}
	text := pluginText(d)
	if text == "" {
		text = strings.TrimSuffix(d.Summary, ".") + "."
	}
	b.WriteString(text)
	b.WriteString("\n\n")
	fmt.Fprintf(&b, "## Options\n\nBeside the [common options](common.md) of every %s:\n\n", d.Kind)
	writeFields(&b, d.Config().Fields())
	return b.Bytes()
}

func fieldsPage(title, text string, fields []option.Field) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# %s\n\n%s\n\n", title, text)
	writeFields(&b, fields)
	return b.Bytes()
}

func writeFields(b *bytes.Buffer, fields []option.Field) {
	b.WriteString("| Option | Type | Default | What it does |\n|---|---|---|---|\n")
	cell := strings.NewReplacer("|", `\|`, "\n", " ")
	for _, f := range fields {
		name := "`" + f.Name + "`"
		if f.Prefix {
			name = "`" + f.Name + "`…"
		}
		for _, a := range f.Aliases {
			name += ", `" + a + "`"
		}
		typ := string(f.Type)
		if len(f.Allowed) > 0 {
			typ = "`" + strings.Join(f.Allowed, "`, `") + "`"
		}
		if f.Repeatable {
			typ += ", repeatable"
		}
		def := ""
		if f.Default != "" {
			def = "`" + f.Default + "`"
		}
		doc := oneLine(f.Doc)
		if f.Required {
			doc = "**Required.** " + doc
		}
		if f.Deprecated != "" {
			doc += " Deprecated: " + f.Deprecated + "."
		}
		if f.Ours {
			doc += " *Not in Fluent Bit.*"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", cell.Replace(name), cell.Replace(typ), cell.Replace(def), cell.Replace(doc))
	}
}

// writePages makes the directory hold these files and no others.
func writePages(dir string, pages map[string][]byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make reference directory: %w", err)
	}
	old, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("list reference directory: %w", err)
	}
	for _, f := range old {
		if _, keep := pages[f.Name()]; !keep {
			if err := os.Remove(filepath.Join(dir, f.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("remove old page: %w", err)
			}
		}
	}
	for name, text := range pages {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return fmt.Errorf("write page: %w", err)
		}
	}
	return nil
}
