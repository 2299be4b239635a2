package api

import (
	"strings"
	"testing"

	"gatehouse/internal/fault"
)

func FuzzBearer(f *testing.F) {
	for _, s := range []string{"Bearer abc", "bearer abc", "Bearer  abc", "Bearer a b", "Basic abc", "Bearer ", "", "Bearer \x00", "Bearer é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		token, err := bearer([]string{header})
		if err != nil {
			if fault.KindOf(err) != fault.Unauthenticated || len(token.Reveal()) != 0 {
				t.Errorf("%q: %v", header, err)
			}
			return
		}
		got := string(token.Reveal())
		if got == "" || len(got) > maxToken || strings.TrimSpace(got) != got || !strings.HasSuffix(header, " "+got) {
			t.Errorf("%q gives %q", header, got)
		}
	})
}
