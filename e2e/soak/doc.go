// Package soak kills the built binary over and over while it works, and checks
// that whatever was promised arrives: lines of files that are written and
// rotated all the time, and messages of a forward peer that were acknowledged.
// The destination fails every seventh request. The package has only tests.
//
// "go test" kills a few times; with -soak (make soak) it goes on for a hundred
// kills in each mode, and loses what was not synced to the disk besides. Each
// test prints the seed of its random numbers, which -seed repeats.
package soak
