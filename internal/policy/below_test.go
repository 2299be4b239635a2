package policy

import (
	"testing"

	"gatehouse/internal/access"
)

// TestBelow: what masks may bind of resources that begin alike.
func TestBelow(t *testing.T) {
	for text, want := range map[string]bool{
		"acct/arn:aws:ssm:r:1:parameter/a": true, "acct/arn:aws:ssm:*": true, "acct/*": true, "*": true, "acct/arn:aws:ssm:r:1:*": true,
		"acct/arn:aws:dynamodb:r:1:*": false, "other/arn:aws:ssm:r:1:*": false, "acct": true,
	} {
		s := &maskSet{documents: []*documentMask{{resources: []pattern{newPattern(text)}, hides: access.DocumentMasks{Whole: &access.Mask{}}}}}
		if got := s.Below("acct/arn:aws:ssm:r:1:"); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	p := newPattern("arn:aws:ssm:*")
	p.rootless = true
	s := &maskSet{documents: []*documentMask{{resources: []pattern{p}}}}
	if !s.Below("any/arn:aws:ssm:r:1:") || s.Below("any/arn:aws:s3:::") {
		t.Error("patterns without a connection")
	}
}
