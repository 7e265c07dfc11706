//go:build !linux

package tail

// dropCache does nothing: only Linux takes such advice.
func (in *Input) dropCache(*file, int64) {}
