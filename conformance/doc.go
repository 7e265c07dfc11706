// Package conformance runs recorded cases against the built binary: each is a
// configuration, some input, and the records that Fluent Bit 5.1.1 wrote for
// it. README.md describes the form of a case. The package has only tests.
package conformance
