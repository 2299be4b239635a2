package amqp

import (
	"fmt"
	"reflect"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/mask"
	wired "gatehouse/internal/wire/message"
)

// TestHideProperties: what is hidden leaves in no property and no header, at no depth, and the rest keeps its order and its types.
func TestHideProperties(t *testing.T) {
	const card, canary = "4111111111111111", "canary-7f3a"
	redact := access.Mask{Strategy: access.MaskRedact}
	h, err := wired.New(mask.NewKey([32]byte{1})).Of(access.DocumentMasks{Detect: []access.Detection{{Entity: access.EntityCreditCard, Mask: redact}},
		Headers: []access.HeaderMask{{Name: "X-Who", Mask: redact}, {Name: "message_id", Mask: redact}}}, "jobs")
	if err != nil {
		t.Fatal(err)
	}
	clean := table{{"a", int32(1)}, {"b", table{{"c", list{"d", stamp(4111111111111111)}}}}, {"e", decimal{2, 123}}}
	same := properties{CorrelationID: "812", Headers: clean}
	if hits := hideProperties(h, &same); hits != 0 || !reflect.DeepEqual(same, properties{CorrelationID: "812", Headers: clean}) {
		t.Errorf("%d: %+v", hits, same)
	}
	p := properties{ContentType: "text/plain", CorrelationID: "for " + card, MessageID: canary, AppID: "shop", Headers: table{
		{"a", int8(1)}, {"x-who", table{{"name", canary}}}, {"deep", table{{"list", list{"b", table{{"X-WHO", list{canary}}, {"n", int64(4111111111111111)}}}}}},
		{card, true}, {"digest", "of it"}, {"X-Who", stamp(7)}, {"z", "last"}}}
	before := fmt.Sprint(p.Headers)
	headers := p.Headers
	want := properties{ContentType: "text/plain", CorrelationID: "for [redacted]", MessageID: "[redacted]", AppID: "shop", Headers: table{
		{"a", int8(1)}, {"x-who", "[redacted]"}, {"deep", table{{"list", list{"b", table{{"X-WHO", "[redacted]"}, {"n", "[redacted]"}}}}}},
		{"[redacted]", true}, {"X-Who", "[redacted]"}, {"z", "last"}}}
	if hits := hideProperties(h, &p); hits != 8 || !reflect.DeepEqual(p, want) {
		t.Errorf("%d: %+v\n  not %+v", hits, p, want)
	}
	if fmt.Sprint(headers) != before {
		t.Error("what was passed in has changed")
	}
	if hits := hideProperties(nil, &p); hits != 0 {
		t.Error("nothing hides something")
	}
}
