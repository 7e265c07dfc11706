// Package option describes the options of everything that can be configured.
//
// A [Field] is the single source of truth for one option: it binds a Go
// variable, carries type, default, unit and documentation, checks the text
// that somebody wrote, and is what `--help`, the reference pages, the JSON
// schema and `kagari check` are generated from.
//
// A configuration file is read into [Property] values, each with the [Pos] it
// was written at; [Decode] stores them through the fields and returns every
// [Problem] at once rather than the first.
//
// Sizes, times, booleans and lists are read as Fluent Bit reads them (see the
// Parse functions); where Fluent Bit takes nonsense in silence, Decode takes
// it too and returns a warning.
package option
