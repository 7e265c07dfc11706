// Package timefmt reads and writes times in strptime(3) and strftime(3) layouts
// as Fluent Bit's parsers and outputs use them.
//
// [Compile] turns a Time_Format and the options beside it into a [Layout];
// [Layout.Parse] reads a time with it. [CompileFormat] turns a strftime layout
// into a [Format]; [Format.Append] writes a time with it. [DateFormat] is the
// json_date_format of the outputs. Layouts and formats are immutable after they
// are compiled, so any number of goroutines may share one; nothing here
// allocates per time.
//
// # Rules of reading that surprise
//
// They are those of Fluent Bit 5.1.1, because configurations rely on them:
//
//   - Text after the layout is allowed.
//   - Numbers may have fewer digits than usual, and end early when one more
//     digit could not fit: "%d" reads 4 of "45".
//   - White space in the layout stands for any white space, or none.
//   - %L is split off by its text, so only the first one counts. It needs at
//     least one digit and reads at most nine. A zone read before %L is forgotten.
//   - A layout without %Y, %y and %s gets the year of now in front, and the month
//     and day of now where the layout has none.
//   - A layout with a year and without a day means day 0, the last day of the
//     month before.
//   - The fraction passes through a float64, which takes one nanosecond from
//     about one in sixty fractions of more than three digits.
//   - Time_System_Timezone overrides a zone in the text, and a Time_Offset or
//     Time_Zone shifts %s too.
//
// [Layout.Warnings] names the ones of these that are most likely a mistake.
//
// Deviations: a time outside of what the forward protocol's EventTime can hold
// is [ErrRange], where Fluent Bit loses the record; a fraction is digits only,
// where Fluent Bit accepts an exponent; a text of 58 to 63 bytes is read without
// a year as well; a two-digit year counts in a lenient match that ends early;
// %s is written in UTC whatever the zone of the system is.
package timefmt
