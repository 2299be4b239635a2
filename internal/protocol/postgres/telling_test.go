package postgres

import "testing"

// TestTelling: what a function may have written into a parameter of the session is told from what names one of a list.
func TestTelling(t *testing.T) {
	for text, want := range map[string]bool{
		"application_name\x00ada\x00": true, "application_name\x00\x00": true,
		"TimeZone\x00UTC\x00": false, "TimeZone\x00Europe/Zurich\x00": false, "TimeZone\x00Etc/GMT-12\x00": false,
		"TimeZone\x00ada7\x00": true, "TimeZone\x00<ada>-3\x00": true, "TimeZone\x00Etc/GMT+1234567\x00": true,
		"DateStyle\x00ISO, MDY\x00": false,
	} {
		if got := telling([]byte(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
