package sampling

import "github.com/kagarilog/kagari/event"

// levelNames are the names of levels as the option takes them, from the least.
var levelNames = []string{"trace", "debug", "info", "notice", "warn", "error", "critical", "alert", "emergency"}

// levels tells how bad a level is, by all names that are in use: those of
// syslog, log4j, java.util.logging, Python, .NET, Go and the letters of klog.
var levels = map[string]int{
	"trace": 1, "t": 1, "finest": 1, "finer": 1, "verbose": 1,
	"debug": 2, "d": 2, "dbg": 2, "fine": 2,
	"info": 3, "i": 3, "inf": 3, "information": 3, "informational": 3, "config": 3,
	"notice": 4,
	"warn":   5, "w": 5, "wrn": 5, "warning": 5,
	"error": 6, "e": 6, "err": 6, "severe": 6,
	"critical": 7, "c": 7, "crit": 7, "fatal": 7, "f": 7, "ftl": 7, "dpanic": 7,
	"alert":     8,
	"emergency": 9, "emerg": 9, "panic": 9,
}

// longestLevel is the length of the longest name.
const longestLevel = len("informational")

// levelOf returns how bad the level v is, 0 if that is not known. Names may be
// in any case of letters; numbers from 10 on are those of Bunyan and Pino, where
// 50 is error.
func levelOf(v event.Value) int {
	if n, ok := v.Int(); ok {
		switch {
		case n >= 60:
			return levels["critical"]
		case n >= 50:
			return levels["error"]
		case n >= 40:
			return levels["warn"]
		case n >= 30:
			return levels["info"]
		case n >= 20:
			return levels["debug"]
		case n >= 10:
			return levels["trace"]
		}
		return 0
	}
	s, ok := v.Str()
	if !ok || len(s) > longestLevel {
		return 0
	}
	var lower [longestLevel]byte
	for i, c := range s {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	return levels[string(lower[:len(s)])]
}
