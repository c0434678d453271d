package schedule_test

import (
	"strings"
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/drift/schedule"
)

func window(t *testing.T, begins, zone string, lasts time.Duration, deny bool) schedule.Window {
	t.Helper()
	w, err := schedule.ParseWindow(begins, zone, lasts, deny)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestWindowsTellUntilWhenTheyAreOpenOrClosed(t *testing.T) {
	nights := window(t, "0 22 * * 1-5", "Europe/Berlin", 6*time.Hour, false)
	christmas := window(t, "0 0 24 12 *", "Europe/Berlin", 72*time.Hour, true)
	lunch := window(t, "0 12 * * *", "", time.Hour, true)
	minutes := window(t, "* * * * *", "", time.Hour, true)
	leap := window(t, "0 0 29 2 *", "", time.Hour, false)
	for _, c := range []struct {
		name    string
		windows schedule.Windows
		at      string
		want    string
	}{
		{"none at all", nil, "2026-03-02T12:00:00Z", "open"},
		{"before a night", schedule.Windows{nights}, "2026-03-02T20:59:59Z", "closed by -1 until 2026-03-02T22:00:00+01:00"},
		{"as it begins", schedule.Windows{nights}, "2026-03-02T21:00:00Z", "open until 2026-03-03T04:00:00+01:00"},
		{"after midnight", schedule.Windows{nights}, "2026-03-03T02:59:59Z", "open until 2026-03-03T04:00:00+01:00"},
		{"as it ends", schedule.Windows{nights}, "2026-03-03T03:00:00Z", "closed by -1 until 2026-03-03T22:00:00+01:00"},
		{"over a weekend", schedule.Windows{nights}, "2026-03-07T12:00:00Z", "closed by -1 until 2026-03-09T22:00:00+01:00"},
		{"in summer", schedule.Windows{nights}, "2026-07-01T19:59:00Z", "closed by -1 until 2026-07-01T22:00:00+02:00"},
		{"over the end of summer time", schedule.Windows{window(t, "0 22 * * *", "Europe/Berlin", 6*time.Hour, false)}, "2026-10-24T21:00:00Z", "open until 2026-10-25T03:00:00+01:00"},
		{"at lunch", schedule.Windows{lunch}, "2026-03-02T12:30:00Z", "closed by 0 until 2026-03-02T13:00:00Z"},
		{"before lunch", schedule.Windows{lunch}, "2026-03-02T11:30:00Z", "open until 2026-03-02T12:00:00Z"},
		{"an allowed night that is denied", schedule.Windows{nights, christmas}, "2026-12-24T22:00:00Z", "closed by 1 until 2026-12-28T22:00:00+01:00"},
		{"two that allow, one after the other", schedule.Windows{nights, window(t, "0 4 * * *", "Europe/Berlin", time.Hour, false)}, "2026-03-02T23:00:00Z", "open until 2026-03-03T05:00:00+01:00"},
		{"one that never ends", schedule.Windows{minutes}, "2026-03-02T12:30:00Z", "closed by 0"},
		{"one in years", schedule.Windows{leap}, "2026-03-02T12:30:00Z", "closed by -1 until 2028-02-29T00:00:00Z"},
	} {
		now, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := inWords(c.windows.At(now)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func inWords(o schedule.Opening) string {
	text := "open"
	if o.Closed {
		text = "closed by " + map[int]string{-1: "-1", 0: "0", 1: "1"}[o.By]
	}
	if !o.Until.IsZero() {
		text += " until " + o.Until.Format(time.RFC3339)
	}
	return text
}

func TestWindowsThatCannotBeAreRefused(t *testing.T) {
	for says, c := range map[string]struct {
		begins, zone string
		lasts        time.Duration
	}{
		"is no beginning of a window":  {"@every 1h", "", time.Hour},
		"timezone beside it":           {"CRON_TZ=UTC 0 1 * * *", "", time.Hour},
		"is not a time zone":           {"0 1 * * *", "Europe/Atlantis", time.Hour},
		"between a minute and 31 days": {"0 1 * * *", "", 32 * 24 * time.Hour},
		"a window of 0s":               {"0 1 * * *", "", 0},
		"is not a schedule":            {"at night", "", time.Hour},
		"there is no such day":         {"0 0 30 2 *", "", time.Hour},
		"does not say when it begins":  {" ", "", time.Hour},
	} {
		if _, err := schedule.ParseWindow(c.begins, c.zone, c.lasts, false); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}
