// Package stream is the SQL of stream tasks: it reads statements, compiles them
// and runs them over batches of events. The language is that of Fluent Bit's
// stream processor (manual page "Stream Processing") and more; docs/sql.md
// describes all of it.
//
//	Set     the tasks of one router, in the order in which they were added
//	Task    one compiled statement with its state: groups, windows, snapshots
//	Error   what is wrong with a statement, and where
//
// A statement goes through lexer.go, parser.go and expression.go into a tree
// (ast.go), which compile.go turns into a plan: closures over a row. A row is
// one event with the values of the top-level keys that the plan asks for, found
// in a single pass over the packed record.
//
// Nothing here starts goroutines, reads clocks of its own, or keeps bytes of an
// event: the caller says what time it is, when a window ends, and where results
// go.
//
// Missing is not null. A key that a record does not have makes every comparison
// false, IS NULL too, and so its negation true; a column without a value is left
// out of the result. That is how Fluent Bit has it.
package stream
