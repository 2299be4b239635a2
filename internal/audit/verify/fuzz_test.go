package verify

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// FuzzSegment feeds the frame reader bytes: it never panics, never reads past the end, never goes back.
func FuzzSegment(f *testing.F) {
	paths, err := filepath.Glob("testdata/golden/audit/*/segments/*.seg")
	if err != nil || len(paths) == 0 {
		f.Fatal("no corpus: ", err)
	}
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(segmentMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := newSegment(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		for {
			at := s.at
			r, err := s.read()
			if err != nil {
				if !errors.Is(err, io.EOF) && s.at == s.size {
					t.Fatal("a fault behind the last byte: ", err)
				}
				return
			}
			if s.at <= at || s.at > s.size || r.offset != at {
				t.Fatalf("went from %d to %d of %d", at, s.at, s.size)
			}
			_ = r.leafHash()
		}
	})
}

// FuzzCheckpoint feeds the reader of notes bytes; what it takes has one spelling.
func FuzzCheckpoint(f *testing.F) {
	b, err := os.ReadFile("testdata/golden/audit/epoch-000001/checkpoint")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(bytes.Replace(b, []byte("fast"), []byte("strict"), 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parseCheckpoint(b)
		if err != nil {
			return
		}
		if !bytes.Equal(c.raw, b) || len(c.sigs) == 0 {
			t.Fatalf("%q was taken and not kept", b)
		}
		_, _ = c.signers(nil)
	})
}
