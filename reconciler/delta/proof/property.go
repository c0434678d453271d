package proof

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/spec"
)

// Properties are those of a table, as its metadata has them.
type Properties map[string]string

// The properties that bear on retention.
const (
	propertyData         = "delta.deletedFileRetentionDuration"
	propertyLog          = "delta.logRetentionDuration"
	propertyLogCleanup   = "delta.enableExpiredLogCleanup"
	propertyChanges      = "delta.enableChangeDataFeed"
	propertyClocked      = "delta.enableInCommitTimestamps"
	propertyClockedSince = "delta.inCommitTimestampEnablementVersion"
	propertyUniForm      = "delta.universalFormat.enabledFormats"
	propertyGuarded      = "delta.requireCheckpointProtectionBeforeVersion"
)

// What counts where a table does not say.
const (
	DefaultData = 7 * 24 * time.Hour
	DefaultLog  = 30 * 24 * time.Hour
)

// get finds a property whatever the case of its name, as Delta does.
func (p Properties) get(name string) (string, bool) {
	if value, ok := p[name]; ok {
		return value, true
	}
	for key, value := range p {
		if strings.EqualFold(key, name) {
			return value, true
		}
	}
	return "", false
}

func (p Properties) is(name string) bool {
	value, _ := p.get(name)
	return strings.EqualFold(value, "true")
}

// span reads a time span. One that cannot be read is an error, never the default: the default
// may be shorter.
func (p Properties) span(name string, otherwise time.Duration) (time.Duration, error) {
	value, ok := p.get(name)
	if !ok {
		return otherwise, nil
	}
	d, err := spec.ParseInterval(value)
	if err != nil {
		return 0, fmt.Errorf("its property %s: %w", name, err)
	}
	return d, nil
}

// Data is how long the table itself wants removed files to be kept.
func (p Properties) Data() (time.Duration, error) { return p.span(propertyData, DefaultData) }

// Log is how long it wants its log to be kept.
func (p Properties) Log() (time.Duration, error) { return p.span(propertyLog, DefaultLog) }

// guardedBefore is the version before which the feature checkpointProtection guards the log; ok is
// false where nobody can tell.
func (p Properties) guardedBefore() (version int64, ok bool) {
	text, _ := p.get(propertyGuarded)
	version, err := strconv.ParseInt(text, 10, 64)
	return version, err == nil
}

// clockedSince is the version from which commits carry their own time; ok is false where they
// do not.
func (p Properties) clockedSince() (version int64, ok bool, err error) {
	if !p.is(propertyClocked) {
		return 0, false, nil
	}
	text, set := p.get(propertyClockedSince)
	if !set {
		return 0, true, nil
	}
	if version, err = strconv.ParseInt(text, 10, 64); err != nil {
		return 0, false, fmt.Errorf("its property %s is %q and no version", propertyClockedSince, text)
	}
	return version, true, nil
}
