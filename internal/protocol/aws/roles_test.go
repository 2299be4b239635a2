package aws

import (
	"strconv"
	"testing"
	"time"
)

// TestRolesForget: sessions that nobody used for long are dropped; those in use stay.
func TestRolesForget(t *testing.T) {
	s, now := newRoles(), time.Unix(0, 0)
	for i := range 10 {
		s.place("gone"+strconv.Itoa(i), now)
	}
	kept := s.place("kept", now)
	now = now.Add(roleUnused)
	s.place("kept", now)
	now = now.Add(time.Second)
	s.place("new", now)
	if len(s.all) != 2 || s.place("kept", now) != kept {
		t.Errorf("%d are kept", len(s.all))
	}
}
