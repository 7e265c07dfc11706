package httpx

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxRetryAfter bounds what a server can ask for.
const maxRetryAfter = 24 * time.Hour

// RetryAfter reads the header Retry-After (RFC 9110, section 10.2.3), seconds
// or a date. ok is false if there is none that makes sense.
func RetryAfter(h http.Header, now time.Time) (delay time.Duration, ok bool) {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if text == "" {
		return 0, false
	}
	if n, err := strconv.ParseUint(text, 10, 63); err == nil {
		if n > uint64(maxRetryAfter/time.Second) {
			return maxRetryAfter, true
		}
		return time.Duration(n) * time.Second, true
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil && f >= 0 {
		return min(time.Duration(min(f, 1e6)*float64(time.Second)), maxRetryAfter), true
	}
	if t, err := http.ParseTime(text); err == nil {
		return min(max(t.Sub(now), 0), maxRetryAfter), true
	}
	return 0, false
}
