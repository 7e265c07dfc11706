//go:build !unix

package deadletter_test

// fillUp has no limit to fill up to.
func fillUp(string) {}
