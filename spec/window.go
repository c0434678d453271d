package spec

import "time"

// Window is a time, which comes again and again, in which changes that interrupt may be made
// or may not. Where there are some that allow, such changes are made in one of them only;
// one that denies has the last word.
type Window struct {
	Deny     bool
	Begins   string        // as cron has it
	Lasts    time.Duration // from each beginning
	Timezone string        // of Begins, as in "Europe/Berlin"; "" is UTC
	Reason   string        // in words of who wrote it, or ""
}
