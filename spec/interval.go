package spec

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// longest is the most microseconds that a time.Duration can hold: 292 years.
const longest = math.MaxInt64 / 1000

// microseconds of each unit of an interval; months and years have no fixed length.
var microseconds = map[string]int64{
	"week": 7 * 24 * 3600e6, "day": 24 * 3600e6, "hour": 3600e6, "minute": 60e6, "second": 1e6, "millisecond": 1e3, "microsecond": 1,
}

// ParseInterval reads a time span as Spark writes it into table properties: "interval 30 days",
// "2 weeks 12 hours". Upper and lower case are the same, and "interval" may be left out. Months
// and years are refused, as Delta does: nobody can say how long they are.
func ParseInterval(text string) (time.Duration, error) {
	words := strings.Fields(strings.ToLower(text))
	if len(words) > 0 && words[0] == "interval" {
		words = words[1:]
	}
	if len(words) == 0 || len(words)%2 != 0 {
		return 0, fmt.Errorf("%q is not an interval", text)
	}
	var sum int64
	for i := 0; i < len(words); i += 2 {
		one, err := parseTerm(words[i], words[i+1])
		if err != nil {
			return 0, fmt.Errorf("%q is not an interval: %w", text, err)
		}
		if sum += one; sum > longest || sum < -longest {
			return 0, fmt.Errorf("%q is longer than can be counted", text)
		}
	}
	if sum < 0 {
		return 0, fmt.Errorf("%q is less than nothing", text)
	}
	return time.Duration(sum) * time.Microsecond, nil
}

// parseTerm reads "30 days" in microseconds. Only seconds may have a fraction.
func parseTerm(number, unit string) (int64, error) {
	unit = strings.TrimSuffix(unit, "s")
	size, known := microseconds[unit]
	switch {
	case unit == "month" || unit == "year":
		return 0, fmt.Errorf("months and years have no fixed length: write days")
	case !known:
		return 0, fmt.Errorf("%q is not a unit of time", unit)
	}
	n, err := strconv.ParseInt(number, 10, 64)
	switch {
	case err == nil && (n > longest/size || n < -longest/size):
		return 0, fmt.Errorf("%s %ss are longer than can be counted", number, unit)
	case err == nil:
		return n * size, nil
	}
	if f, err := strconv.ParseFloat(number, 64); err == nil && unit == "second" && math.Abs(f) < 1e9 {
		return int64(math.Round(f * float64(size))), nil
	}
	return 0, fmt.Errorf("%q is not a number of %ss", number, unit)
}
