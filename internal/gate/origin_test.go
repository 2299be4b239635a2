package gate

import (
	"strconv"
	"testing"
	"time"

	"gatehouse/internal/access"
)

// TestOriginsForget: what nobody used for long is let go when something new comes; what is in use stays, as its document is.
func TestOriginsForget(t *testing.T) {
	now := time.Unix(0, 0)
	o := NewOrigins(func() time.Time { return now })
	defer o.Close()
	of := func(c *access.Connection) *origin {
		x, err := o.of(&Services{}, c)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	for i := range 10 {
		of(&access.Connection{Name: "gone" + strconv.Itoa(i), Address: "http://127.0.0.1:1"})
	}
	now = now.Add(time.Second)
	c := &access.Connection{Name: "kept", Address: "http://127.0.0.1:1"}
	kept := of(c)
	now = now.Add(originLife - time.Second)
	if of(c) != kept || len(o.all) != 11 {
		t.Errorf("%d are kept", len(o.all))
	}
	now = now.Add(time.Second / 2)
	of(&access.Connection{Name: "new", Address: "http://127.0.0.1:1"})
	if len(o.all) != 2 || of(c) != kept {
		t.Errorf("%d are kept", len(o.all))
	}
}
