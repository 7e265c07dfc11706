// Package pipetest tests configurations: it feeds records or lines into the
// inputs of a configuration and compares what arrives at its outputs with what
// a test file expects.
//
// [ReadFile] reads a test file into a [File] of [Test]s. [Run] runs one and
// returns a [Result], which [Reporter], [WriteJUnit] and [WriteJSON] show;
// [Update] writes actual results into the file.
//
// A test builds the real engine from the real configuration. Only the plugins
// at both ends are others (rig.go): every input waits for what the test feeds it
// and every output keeps what it is sent. The real plugins are still made, so
// that their options are checked, but never started; parsers, multiline,
// processors, filters, stream tasks and routing are those of production. A tail
// input that is given lines is really run, over a temporary file (tail.go).
//
// What a test does not see is what the replaced parts do: how an input receives
// and frames data, and what an output makes of a record on its way out.
//
// [Trial] and [Join] are for parsers alone: what becomes of a line, where it
// stops to fit, and which lines are joined to one record.
package pipetest
