package spec

import "fmt"

var units = []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}

// Size writes a number of bytes in the largest unit of which it is a whole number.
func Size(bytes int64) string {
	i := 0
	for ; bytes != 0 && bytes%1024 == 0 && i < len(units)-1; i++ {
		bytes /= 1024
	}
	return fmt.Sprint(bytes, units[i])
}

// RoughSize writes a number of bytes as people read it: "88.0 GiB".
func RoughSize(bytes int64) string {
	value, i := float64(bytes), 0
	for ; value >= 1024 && i < len(units)-1; i++ {
		value /= 1024
	}
	if i == 0 || value >= 100 {
		return fmt.Sprintf("%.0f %s", value, units[i])
	}
	return fmt.Sprintf("%.1f %s", value, units[i])
}

// Counted writes a number of things: "1 file", "1,204 files".
func Counted(n int64, thing string) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	if n != 1 {
		thing += "s"
	}
	return digits + " " + thing
}
