package nats

import (
	"errors"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/mask"
	"gatehouse/internal/wire/message"
)

// TestTypesOfMessages: what a message says of its body is taken whole: no character set is left out, and of two types neither is believed.
func TestTypesOfMessages(t *testing.T) {
	h, err := message.New(mask.NewKey([32]byte{1})).Of(access.DocumentMasks{Detect: []access.Detection{{Entity: access.EntityEmail, Mask: access.Mask{Strategy: access.MaskRedact}}}}, "jobs")
	if err != nil {
		t.Fatal(err)
	}
	for name, list := range map[string][]header{
		"another character set": {{"Content-Type", "text/plain; charset=utf-7"}},
		"two types":             {{"Content-Type", "text/plain"}, {"content-type", "image/png"}},
		"an encoding behind":    {{"Content-Encoding", "identity"}, {"CONTENT-ENCODING", "snappy"}},
	} {
		if c, err := hide([]*message.Hidden{h}, content{head: &headers{list: list}, payload: []byte("ada+AEA-example.org")}); !errors.Is(err, message.ErrUnreadable) {
			t.Errorf("%s: %q %v", name, c.payload, err)
		}
	}
	c, err := hide([]*message.Hidden{h}, content{head: &headers{list: []header{{"content-type", "text/plain; charset=UTF-8"}}}, payload: []byte("ada@example.org")})
	if err != nil || c.hits != 1 || string(c.payload) != "[redacted]" {
		t.Errorf("%q %v", c.payload, err)
	}
}
