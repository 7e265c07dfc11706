package config

import (
	"strings"

	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

// ReadSections reads another file of configuration syntax, such as the file of
// an upstream option, relative to the working directory or the directory of
// the main file. Variables are expanded in all values.
//
// The upstream_servers of a YAML file are given as the classic format has
// them: a section UPSTREAM, followed by its sections NODE.
func (c *Config) ReadSections(path string) ([]plugin.Section, error) {
	var ps option.Problems
	l := &loader{cfg: &Config{Path: c.Path, Dir: c.Dir, Sources: &Sources{}}, env: c.env, ps: &ps}
	tree := l.readOther(path, option.Pos{}, "file")
	var out []plugin.Section
	for _, s := range tree.sections {
		name := s.name
		if tree.Format == YAML && s.kind == kindUpstreamServers {
			name = "UPSTREAM"
		}
		sec := plugin.Section{Name: name, Pos: s.pos}
		var nodes []plugin.Section
		for _, p := range s.body {
			if p.val.shape != option.List {
				sec.Props = append(sec.Props, l.props(p)...)
				continue
			}
			for _, n := range p.val.items {
				node := plugin.Section{Name: strings.ToUpper(strings.TrimSuffix(p.key.text, "s")), Pos: n.pos}
				for _, q := range n.pairs {
					node.Props = append(node.Props, l.props(q)...)
				}
				nodes = append(nodes, node)
			}
		}
		out = append(append(out, sec), nodes...)
	}
	return out, ps.Err()
}

// ReadSections is Config.ReadSections without a main file: relative paths are
// looked for in the working directory only.
func ReadSections(path string) ([]plugin.Section, error) {
	c, _ := NewEmpty(LoadOptions{})
	return c.ReadSections(path)
}
