package postgres

import (
	"bytes"
	"testing"
)

// TestExactParams: parameters that look alike to people and differ to the server are different to an approval; so is the
// style in which dates are read.
func TestExactParams(t *testing.T) {
	text := bindMessage{values: [][]byte{[]byte(`\x61`)}}
	binary := bindMessage{values: [][]byte{[]byte("a")}, formats: []byte{0, 1}}
	if params(text, nil)[0] != params(binary, nil)[0] {
		t.Fatal("the two no longer look alike: choose others")
	}
	if bytes.Equal(exactParams(text, nil), exactParams(binary, nil)) {
		t.Error("a text and a binary parameter are one")
	}
	if bytes.Equal(exactParams(text, []uint32{oidInt4}), exactParams(text, []uint32{oidText})) {
		t.Error("parameters of two types are one")
	}
	if bytes.Equal(exactParams(bindMessage{values: [][]byte{nil}}, nil), exactParams(bindMessage{values: [][]byte{{}}}, nil)) {
		t.Error("NULL and the empty value are one")
	}
	var c connState
	c.learn(map[string]string{"DateStyle": "ISO, MDY"})
	before := c.meaning()
	c.report("DateStyle", "ISO, DMY")
	if bytes.Equal(before, c.meaning()) {
		t.Error("the style of dates is not part of what is approved")
	}
}

// TestNumericText: detectors see the digits of a binary numeric.
func TestNumericText(t *testing.T) {
	for want, v := range map[string][]byte{
		"4111111111111111": {0, 4, 0, 3, 0, 0, 0, 0, 0x10, 0x0f, 0x04, 0x57, 0x04, 0x57, 0x04, 0x57},
		"40000":            {0, 1, 0, 1, 0, 0, 0, 0, 0, 4},
		"1.5000":           {0, 2, 0, 0, 0, 0, 0, 1, 0, 1, 0x13, 0x88},
	} {
		if got := string(numericText(nil, v)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
