package config

import (
	"errors"

	"github.com/kagarilog/kagari/option"
)

// Node is a value of a YAML document that is no configuration, such as the
// tests of one.
type Node struct {
	Shape  option.Shape
	Text   string // Scalar: without quotes
	Quoted bool   // Scalar: in quotes or a block, so that it stands for text only
	Items  []Node // List
	Pairs  []NodePair
	Pos    option.Pos
}

// NodePair is an entry of a map. Keys may repeat; they are scalars.
type NodePair struct{ Key, Val Node }

// ReadDocument reads a YAML file of one document with the reader that
// configurations are read with, so that both have one syntax and one kind of
// message. No content makes it hang or take memory beyond a small multiple of
// the file's size, which is limited. The sources hold the lines for [Render].
func ReadDocument(path string) (Node, *Sources, option.Problems) {
	src := &Sources{}
	var ps option.Problems
	fail := func(pos option.Pos, fix, msg string) {
		ps = append(ps, option.Problem{Pos: pos, Message: msg, Fix: fix})
	}
	text, err := src.read(path)
	if err != nil {
		fail(option.Pos{File: path}, "", fileError("file", path, err))
		return Node{}, src, ps
	}
	docs, err := parseYAML(path, text)
	var ye *yamlError
	switch {
	case errors.As(err, &ye):
		fail(ye.mark.pos(path), "", "this is not valid YAML: "+ye.msg)
	case err != nil:
		fail(option.Pos{File: path}, "", err.Error())
	case len(docs) == 0:
		fail(option.Pos{File: path}, "", "the file is empty")
	case len(docs) > 1:
		fail(docs[1].pos, "", "the file holds more than one document")
	}
	if len(ps) > 0 {
		return Node{}, src, ps
	}
	r := &reader{ps: &ps}
	r.refuse(docs[0])
	return exported(docs[0]), src, ps
}

func exported(n node) Node {
	out := Node{Shape: n.shape, Text: n.text, Quoted: !n.plain, Pos: n.pos}
	for _, item := range n.items {
		out.Items = append(out.Items, exported(item))
	}
	for _, p := range n.pairs {
		out.Pairs = append(out.Pairs, NodePair{exported(p.key), exported(p.val)})
	}
	return out
}
