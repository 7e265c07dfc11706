package timefmt

const (
	secondsPerDay = 86400
	nsPerSecond   = 1_000_000_000
)

// daysBeforeMonth has the days of a common year before the month with index
// 0 to 11, and before the next year at 12.
var daysBeforeMonth = [13]int{0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365}

func isLeap(year int) bool { return year%4 == 0 && (year%100 != 0 || year%400 == 0) }

// yearDays returns the days from 1970-01-01 to January 1st of year, which must
// not be negative.
func yearDays(year int) int {
	y := year + 399 // The year before, moved by one cycle to stay positive.
	return 365*year + y/4 - y/100 + y/400 - 97 - 719527
}

// monthDay returns the days from January 1st to the first of the month with
// index mon, 0 to 12.
func monthDay(year, mon int) int {
	d := daysBeforeMonth[mon]
	if mon > 1 && isLeap(year) {
		d++
	}
	return d
}

// civilDate returns the date of a number of days since 1970-01-01, which must
// not be before the year 0: the month has index 0 to 11 and the day counts
// from 1. The year starts in March inside, so that the leap day is its last.
func civilDate(days int) (year, mon, mday int) {
	d := days + 719468 // Days since 0000-03-01.
	era := d / 146097
	doe := d % 146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	year = yoe + era*400
	mday = doy - (153*mp+2)/5 + 1
	mon = mp + 2
	if mon > 11 {
		mon -= 12
		year++
	}
	return year, mon, mday
}

// floorDiv divides rounding down; n is positive.
func floorDiv(a, n int64) (q, r int64) {
	q, r = a/n, a%n
	if r < 0 {
		q--
		r += n
	}
	return q, r
}
