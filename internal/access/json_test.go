package access

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// TestReadJSON: numbers are exact where they can be, and everything else is as JSON has it.
func TestReadJSON(t *testing.T) {
	got, err := ReadJSON([]byte(` {"a": [1, -0, 9007199254740993, 2.5, 1e2, 9223372036854775808], "b": {"c": null, "d": true, "e": "é\u0041\ud83d\ude00"}, "": {}, "l": []} `))
	want := map[string]any{
		"a": []any{int64(1), int64(0), int64(9007199254740993), 2.5, 100.0, 9223372036854775808.0},
		"b": map[string]any{"c": nil, "d": true, "e": "éA😀"}, "": map[string]any{}, "l": []any{},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%v %v", got, err)
	}
}

// TestReadJSONRefuses: what two readers could take for different values has none.
func TestReadJSONRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing": "", "a cut": `{"a":`, "two values": `1 2`, "trailing bytes": `{} x`, "a trailing comma": `[1,]`,
		"a comment": `{/**/}`, "twice a name": `{"a":1,"a":2}`, "in another case": `{"amount":1,"Amount":2}`,
		"in an escape": `{"amount":1,"\u0061mount":2}`, "by the Kelvin sign": `{"key":1,"\u212aey":2}`,
		"by the long s": `{"sum":1,"ſum":2}`, "deep inside": `[{"x":{"a":1,"A":2}}]`,
		"half a character": `"\ud800"`, "half a name": `{"\udc00":1}`, "not UTF-8": "\"\xff\"", "a byte order mark": "\ufeff1",
		"a huge number": `1e999`, "not a number": `NaN`, "quotes of another kind": `{'a':1}`, "too deep": strings.Repeat("[", 65) + strings.Repeat("]", 65),
	} {
		if v, err := ReadJSON([]byte(text)); err == nil {
			t.Errorf("%s is read as %v", name, v)
		}
	}
	if _, err := ReadJSON([]byte(strings.Repeat("[", 64) + strings.Repeat("]", 64))); err != nil {
		t.Error(err)
	}
}

// FuzzReadJSON: what is read is what the standard library reads, but for the exactness of numbers.
func FuzzReadJSON(f *testing.F) {
	f.Add([]byte(`{"a":[1,2.5,null,"x"],"b":{"c":true}}`))
	f.Add([]byte(`{"a":1,"A":2}`))
	f.Add([]byte("[1e999,\"\\ud800\"]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := ReadJSON(b)
		if err != nil {
			return
		}
		var want any
		if err := json.Unmarshal(b, &want); err != nil {
			t.Fatalf("%q is read, and the standard library says %v", b, err)
		}
		again, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		var back any
		if err := json.Unmarshal(again, &back); err != nil || !reflect.DeepEqual(back, want) {
			t.Fatalf("%q is read as %v", b, got)
		}
	})
}
