package stream

import "time"

// Kind is what a statement does.
type Kind uint8

// The kinds of statements.
const (
	Select         Kind = iota // results are printed
	CreateStream               // results become events of a stream
	CreateSnapshot             // events are held back
	FlushSnapshot              // held events become events of a stream
)

// Source says which events a task gets.
type Source struct {
	Stream bool   // Name is that of a stream or input, else a pattern for tags
	Name   string // "" if the statement has no FROM
	Offset int    // of Name in the statement
}

// Window says when aggregates are reported. The zero value is: after each batch.
type Window struct {
	Size time.Duration
	// Advance is 0 for a tumbling window. A hopping window ends every Advance and
	// covers the last Size.
	Advance time.Duration
}

type property struct{ key, value string }

// statement is a parsed statement.
type statement struct {
	kind     Kind
	name     string // of the stream or snapshot
	namePos  int
	props    []property
	columns  []column
	source   Source
	window   Window
	windowAt int
	where    node
	group    []node
	having   node
	order    []sorting
	limit    int // -1 without
	limitAt  int
	groupAt  int
}

// column is one entry of a selection.
type column struct {
	star  bool
	expr  node
	alias string // "" without
	name  string // the key of the result
	pos   int
	end   int
}

// sorting is one entry of ORDER BY.
type sorting struct {
	expr node
	desc bool
}

// node is an expression.
type node interface{ at() span }

// span is a place in the statement.
type span struct{ pos, end int }

func (s span) at() span { return s }

type (
	// keyNode is a key of the record with a path into its value.
	keyNode struct {
		span
		name string
		path []step
	}
	// literalNode is a constant. bare: it stands alone, not in brackets or a
	// calculation, as in Fluent Bit's own grammar.
	literalNode struct {
		span
		v    val
		bare bool
	}
	// parenNode is an expression in brackets.
	parenNode struct {
		span
		x node
	}
	// unaryNode is NOT or -.
	unaryNode struct {
		span
		op string
		x  node
	}
	// binaryNode is AND, OR, a comparison, a calculation or ||.
	binaryNode struct {
		span
		op   string
		l, r node
	}
	// isNullNode is IS [NOT] NULL.
	isNullNode struct {
		span
		x   node
		not bool
	}
	// matchNode is [NOT] LIKE, ILIKE, =~ or !~.
	matchNode struct {
		span
		op      string
		x       node
		pattern string
		where   int // of the pattern in the statement
		not     bool
	}
	// inNode is [NOT] IN.
	inNode struct {
		span
		x    node
		list []node
		not  bool
	}
	// betweenNode is [NOT] BETWEEN.
	betweenNode struct {
		span
		x, low, high node
		not          bool
	}
	// callNode is a function, with its name in lower case.
	callNode struct {
		span
		name string
		args []node
	}
	// caseNode is CASE with conditions, or with values if x is there.
	caseNode struct {
		span
		x        node
		when     []node
		then     []node
		fallback node
	}
	// aggregateNode is an aggregate function, with its name in upper case. arg is
	// nil for *.
	aggregateNode struct {
		span
		name     string
		arg      node
		distance int64 // of a forecast, in seconds
	}
)

// step is one step into a value: a key of a map, or an index of an array if
// index is not negative.
type step struct {
	key   string
	index int
}
