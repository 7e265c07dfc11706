package tail

import (
	"fmt"
	"os"
	"strings"
)

// currentName returns the path that an open file has now, or "".
func currentName(f *os.File) string {
	name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err != nil || strings.HasSuffix(name, " (deleted)") {
		return ""
	}
	return name
}
