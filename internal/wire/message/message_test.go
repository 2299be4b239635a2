package message

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/mask"
	"gatehouse/internal/wire/coding"
)

const (
	card   = "4111111111111111"
	canary = "canary-7f3a" // what no detector knows
)

var (
	redact = access.Mask{Strategy: access.MaskRedact}
	cards  = []access.Detection{{Entity: access.EntityCreditCard, Mask: redact}}
	paths  = access.DocumentMasks{Paths: []access.PathMask{{Path: "**.ssn", Mask: redact}, {Path: "$.who.name", Mask: redact}}}
	detect = access.DocumentMasks{Detect: cards}
	both   = access.DocumentMasks{Paths: paths.Paths, Detect: cards}
)

func hide(t testing.TB, d access.DocumentMasks) *Hidden {
	t.Helper()
	h, err := New(mask.NewKey([32]byte{1})).Of(d, "jobs")
	if err != nil || h == nil {
		t.Fatal(h, err)
	}
	return h
}

func encode(t testing.TB, encoding, plain string) string {
	t.Helper()
	out, err := new(coding.Coder).Encode(nil, encoding, []byte(plain), nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func decode(t testing.TB, encoding string, b []byte) string {
	t.Helper()
	r, err := new(coding.Coder).Decode(encoding, bytes.NewReader(b), coding.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestBody: what is hidden leaves in no form, and the rest stays as it is.
func TestBody(t *testing.T) {
	long := strings.Repeat("the quick brown fox, ", 200)
	for name, c := range map[string]struct {
		masks          access.DocumentMasks
		mime, encoding string // of the message
		in, want       string
	}{
		"JSON by path":            {paths, "application/json", "", `{"a":[{"ssn":"` + canary + `"}],"b":1}`, `{"a":[{"ssn":"[redacted]"}],"b":1}`},
		"with a character set":    {paths, "application/json; charset=UTF-8", "", `{"ssn":7}`, `{"ssn":"[redacted]"}`},
		"a kind of JSON":          {paths, "application/cloudevents+json", "", `{"ssn":7}`, `{"ssn":"[redacted]"}`},
		"no content type":         {both, "", "", `{"who":{"name":"` + canary + `"},"n":` + card + `}`, `{"who":{"name":"[redacted]"},"n":"[redacted]"}`},
		"octets":                  {both, "application/octet-stream", "", `{"ssn":"` + canary + `"}`, `{"ssn":"[redacted]"}`},
		"a name twice":            {paths, "application/json", "", `{"ssn":"` + canary + `","SSN":"` + canary + `","ssn":1}`, `{"ssn":"[redacted]","SSN":"[redacted]","ssn":"[redacted]"}`},
		"an escaped name":         {paths, "", "", `{"\u0073sn":"` + canary + `"}`, `{"\u0073sn":"[redacted]"}`},
		"lines of JSON":           {both, "application/x-ndjson", "", `{"ssn":1}` + "\n" + `{"a":"` + card + `"}` + "\n", `{"ssn":"[redacted]"}` + "\n" + `{"a":"[redacted]"}` + "\n"},
		"JSON inside of a string": {detect, "application/json", "", `{"inner":"{\"n\":\"` + card + `\"}"}`, `{"inner":"{\"n\":\"[redacted]\"}"}`},
		"text":                    {detect, "text/plain", "", "card " + card + ", done", "card [redacted], done"},
		"text of no type":         {detect, "", "", "card " + card + "\nnext", "card [redacted]\nnext"},
		"text with a mark":        {detect, "", "", "\ufeffcard " + card, "\ufeffcard [redacted]"},
		"escapes of no type":      {detect, "", "", `{"a":"\u0034111111111111111"} {"b":2}`, `{"a":"[redacted]"} {"b":2}`},
		"rows":                    {detect, "text/csv", "", "n,card\n1," + card + "\n", "n,card\n1,[redacted]\n"},
		"a form":                  {detect, "application/x-www-form-urlencoded", "", "a=1&n=4111+1111+1111+1111", "a=1&n=%5Bredacted%5D"},
		"XML":                     {detect, "application/xml", "", "<n>" + card + "</n>", "<n>[redacted]</n>"},
		"XML of no type":          {detect, "", "", "<n>&#52;111111111111111</n>", "<n>[redacted]</n>"},
		"nothing":                 {both, "application/x-unknown", "gzip", "", ""},
		"nothing to hide":         {both, "application/json", "", `{ "a" : "\u00e9" }`, `{ "a" : "\u00e9" }`},
		"gzip":                    {both, "application/json", "gzip", `{"ssn":"` + canary + `","b":"` + long + `"}`, `{"ssn":"[redacted]","b":"` + long + `"}`},
		"deflate":                 {both, "application/json", "deflate", `{"ssn":"` + canary + `"}`, `{"ssn":"[redacted]"}`},
		"br":                      {detect, "text/plain", "br", long + card, long + "[redacted]"},
		"zstd":                    {both, "", "zstd", `{"ssn":"` + canary + `"}`, `{"ssn":"[redacted]"}`},
		"encoded twice":           {both, "application/json", "gzip, br", `{"ssn":"` + canary + `"}`, `{"ssn":"[redacted]"}`},
		"a character set instead": {both, "application/json", "UTF-8", `{"ssn":"` + canary + `"}`, `{"ssn":"[redacted]"}`},
		"a whole document":        {access.DocumentMasks{Whole: &redact}, "application/json", "gzip", `{"a":"` + canary + `"}`, `"[redacted]"`},
	} {
		codings := codingsOf(c.encoding)
		in := c.in
		if in != "" {
			in = encode(t, codings, c.in)
		}
		before := "before"
		out, hits, err := hide(t, c.masks).Body([]byte(before), c.mime, c.encoding, []byte(in))
		if err != nil || !bytes.HasPrefix(out, []byte(before)) {
			t.Errorf("%s: %s %v", name, out, err)
			continue
		}
		got := string(out[len(before):])
		if c.want == c.in && (got != in || hits != 0) {
			t.Errorf("%s: %q changed: %q", name, in, got)
		}
		if in != "" {
			got = decode(t, codings, out[len(before):])
		}
		if got != c.want || hits == 0 && c.want != c.in {
			t.Errorf("%s: %q (%d hidden)\n not %q", name, got, hits, c.want)
		}
	}
}

// TestUnreadable: what cannot be read as what it says it is does not pass, in whole or in part, and its error tells nothing of it.
func TestUnreadable(t *testing.T) {
	secret := `{"ssn":"` + canary + `","n":"` + card + `"}`
	packed := encode(t, "gzip", secret)
	utf16 := string(bytes.Join(bytes.Split([]byte(secret), nil), []byte{0}))
	for name, c := range map[string]struct {
		masks          access.DocumentMasks
		mime, encoding string
		in             string
	}{
		"JSON under the name of text":           {paths, "text/plain", "", secret},
		"JSON under the name of a form":         {paths, "application/x-www-form-urlencoded", "", secret},
		"JSON under the name of XML":            {paths, "application/xml", "", secret},
		"JSON under the name of a picture":      {detect, "image/png", "", secret},
		"a picture, with paths":                 {paths, "image/png", "", "\x89PNG\r\n\x1a\n\x00\x00"},
		"a type that nobody knows":              {detect, "application/x-protobuf", "", secret},
		"no type at all":                        {detect, "json", "", secret + "\x00"},
		"another character set":                 {both, "application/json; charset=utf-16", "", secret},
		"another character set as the encoding": {both, "application/json", "utf-16", secret},
		"UTF-16 that says nothing":              {detect, "", "", utf16},
		"UTF-16 called a text":                  {detect, "text/plain", "", utf16},
		"Latin-1":                               {detect, "text/plain", "", "caf\xe9 " + card},
		"a byte order mark":                     {paths, "", "", "\ufeff" + secret},
		"a byte order mark, called JSON":        {both, "application/json", "", "\ufeff" + secret},
		"cut off":                               {both, "application/json", "", secret[:len(secret)-1]},
		"cut off, no type":                      {paths, "", "", secret[:len(secret)-1]},
		"two documents":                         {both, "application/json", "", secret + secret},
		"lines without a type":                  {paths, "", "", secret + "\n" + secret},
		"an encoding that nobody knows":         {both, "application/json", "snappy", secret},
		"an encoding that it does not have":     {both, "application/json", "gzip", secret},
		"encoded, and nobody says so":           {both, "application/json", "", packed},
		"encoded, and it is called a text":      {detect, "text/plain", "", packed},
		"encoded, with no type":                 {detect, "", "", packed},
		"encoded once more than it says":        {both, "application/json", "gzip", encode(t, "gzip", packed)},
		"encoded once more, a text":             {detect, "text/plain", "gzip", encode(t, "gzip", packed)},
		"encoded three times":                   {both, "application/json", "gzip, gzip, gzip", secret},
		"encoded and cut off":                   {both, "application/json", "gzip", packed[:len(packed)-2]},
		"encoded, with more after it":           {both, "application/json", "gzip", packed + secret},
		"half a character":                      {paths, "", "", `{"a":"\ud800","ssn":"` + canary + `"}`},
		"binary with words in it":               {detect, "", "", "\x08\x01\x12\x10" + card},
		"a bomb":                                {detect, "text/plain", "gzip", bomb()},
	} {
		before := "before"
		out, hits, err := hide(t, c.masks).Body([]byte(before), c.mime, c.encoding, []byte(c.in))
		if !errors.Is(err, ErrUnreadable) || fault.KindOf(err) != fault.Denied || string(out) != before || hits != 0 {
			t.Errorf("%s: %d bytes, %d hidden, %v", name, len(out), hits, err)
			continue
		}
		say, _ := fault.Say(err)
		if text := err.Error() + say; strings.Contains(text, canary) || strings.Contains(text, card) {
			t.Errorf("%s: the error tells: %s", name, text)
		}
	}
}

// bomb is 64 MiB of nothing.
func bomb() string {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	zeros := bytes.Repeat([]byte{' '}, 1<<20)
	for range 64 {
		_, _ = w.Write(zeros)
	}
	_ = w.Close()
	return b.String()
}

// TestWholeIsAlwaysHidden: a document that is hidden as a whole needs to be read by nobody.
func TestWholeIsAlwaysHidden(t *testing.T) {
	for _, m := range []access.Mask{redact, {Strategy: access.MaskNull}, {Strategy: access.MaskHash}, {Strategy: access.MaskPartial, KeepLast: 2}} {
		h := hide(t, access.DocumentMasks{Whole: &m})
		for _, c := range [][3]string{{"application/json", "", canary}, {"x/y", "snappy", canary}, {"", "gzip", canary}, {"", "", canary}, {"", "", `"` + canary + `"`}, {"text/plain; charset=x", "gzip", encode(t, "gzip", canary)}, {"text/plain", "", "\xff" + canary}} {
			out, hits, err := h.Body(nil, c[0], c[1], []byte(c[2]))
			if err != nil || hits != 1 || strings.Contains(string(out), canary) || strings.Contains(string(out), canary[:6]) {
				t.Errorf("%s %q: %q %d %v", m.Strategy, c, out, hits, err)
			}
		}
	}
}

// TestBeside: what is hidden leaves in no header and no property, whatever its type.
func TestBeside(t *testing.T) {
	h := hide(t, access.DocumentMasks{Detect: cards, Headers: []access.HeaderMask{{Name: "X-Who", Mask: redact}, {Name: "gone", Mask: access.Mask{Strategy: access.MaskNull}}}})
	for _, c := range []struct {
		name     string
		in, want any
	}{
		{"x-who", canary, Redacted}, {"X-WHO", true, Redacted}, {"x-who", int64(7), Redacted}, {"x-who", []byte(canary), []byte(Redacted)}, {"gone", canary, nil}, {"gone", 7, nil},
		{"note", "paid with " + card, "paid with " + Redacted}, {"n", int64(4111111111111111), Redacted}, {"n", uint64(4111111111111111), Redacted},
		{"f", 4.111111111111111e15, Redacted}, {"raw", []byte(card), []byte(Redacted)}, {"escaped", "4111%201111%201111%201111", Redacted},
		{"ok", true, true}, {"small", int32(7), int32(7)}, {"f", 1.5, 1.5}, {"raw", []byte{1}, []byte{1}}, {"none", nil, nil}, {"at", time.Unix(1, 0), time.Unix(1, 0)},
	} {
		out, hits := h.Value(c.name, c.in)
		if !reflect.DeepEqual(out, c.want) || (hits > 0) == reflect.DeepEqual(c.in, c.want) {
			t.Errorf("%s: %v became %v (%d)", c.name, c.in, out, hits)
		}
	}
	if !h.Named("X-WHO") || h.Named("who") || hide(t, access.DocumentMasks{Headers: []access.HeaderMask{{Name: "a", Mask: redact}}}).Tells("Digest") || !hide(t, both).Tells("content-MD5") {
		t.Error("names")
	}
	list, hits := h.Fields([]Field{{"a", "1"}, {"X-WHO", canary}, {"b", card}, {"x", "y"}, {card, "y"}, {"b", "2"}})
	if fmt.Sprint(list) != "[{a 1} {X-WHO [redacted]} {b [redacted]} {x y} {[redacted] y} {b 2}]" || hits != 3 {
		t.Error(list, hits)
	}
	if v, n := h.Text("correlation_id", "for "+card); v != "for "+Redacted || n != 1 {
		t.Error(v, n)
	}
	if _, n := hide(t, access.DocumentMasks{Detect: []access.Detection{{Entity: access.EntitySSN, Mask: redact}}}).Value("ssn", int64(219099999)); n != 1 {
		t.Error("nine digits under a name that says so")
	}
}

// TestNothingBeside: where there is nothing to hide, what came is what goes.
func TestNothingBeside(t *testing.T) {
	h := hide(t, both)
	list := []Field{{"a", "b"}}
	fields, hits := h.Fields(list)
	if &fields[0] != &list[0] || hits != 0 {
		t.Error("a copy was made")
	}
	none, err := New(nil).Of(access.DocumentMasks{}, "jobs")
	if err != nil || none.Bodies() || none.Beside() {
		t.Error(none, err)
	}
	if b, n, err := none.Body(nil, "x", "y", []byte("z")); string(b) != "z" || n != 0 || err != nil {
		t.Error(b, n, err)
	}
	if v, n := none.Text("a", card); v != card || n != 0 {
		t.Error(v, n)
	}
	if list, n := hide(t, both).Fields([]Field{{"a", "1"}, {"Digest", "x"}}); fmt.Sprint(list) != "[{a 1}]" || n != 1 {
		t.Error(list, n)
	}
	if v, n := none.Value("a", card); v != card || n != 0 {
		t.Error(v, n)
	}
}

// TestDocument: conditions read a body as ReadJSON has it, whatever it is encoded in; what else there is, they do not know.
func TestDocument(t *testing.T) {
	r := New(nil).Reader()
	want := map[string]any{"amount": int64(3)}
	for _, c := range [][3]string{{"application/json", "", ""}, {"", "", ""}, {"", "utf-8", ""}, {"application/json", "gzip", "gzip"}, {"application/x+json", "br", "br"}, {"text/plain; charset=utf-8", "", ""}} {
		if got := r.Document(c[0], c[1], []byte(encode(t, c[2], `{"amount":3}`)))(); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v", c, got)
		}
	}
	for _, c := range [][3]string{{"text/csv", "", `{"amount":3}`}, {"text/plain; charset=utf-16", "", `{"amount":3}`}, {"application/x-www-form-urlencoded", "", `{"amount":3,"x":"&amount=5000&"}`}, {"application/yaml", "", `{"amount":3}`}, {"", "", `{"amount":3,"amount":4}`}, {"", "", `{"amount":3}{}`}, {"", "gzip", `{"amount":3}`}, {"", "lzma", `{"amount":3}`}, {"application/json; charset=utf-16", "", `{"amount":3}`}, {"", "", ""}, {"application/x-ndjson", "", `{"amount":3}`}} {
		if got := r.Document(c[0], c[1], []byte(c[2]))(); got != nil {
			t.Errorf("%q: %v", c, got)
		}
	}
}

// TestTogether: sessions share what was compiled.
func TestTogether(t *testing.T) {
	masks := New(mask.NewKey([32]byte{1}))
	packed := encode(t, "gzip", `{"ssn":"`+canary+`"}`)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for k := range 50 {
				h, err := masks.Of(both, "jobs")
				if err != nil {
					t.Error(err)
					return
				}
				in := fmt.Sprintf(`{"i":%d,"k":%d,"ssn":"%s"}`, i, k, canary)
				out, _, err := h.Body(nil, "", "", []byte(in))
				var got struct {
					I, K int
					SSN  string
				}
				if err = errors.Join(err, json.Unmarshal(out, &got)); err != nil || got.I != i || got.K != k || got.SSN != Redacted {
					t.Errorf("%s %v", out, err)
				}
				if _, _, err := h.Body(nil, "", "gzip", []byte(packed[:len(packed)-k%2])); (err == nil) != (k%2 == 0) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// TestUnion: a message of several resources is hidden by all of their masks, in one reading.
func TestUnion(t *testing.T) {
	masks := New(mask.NewKey([32]byte{1}))
	hash := access.Mask{Strategy: access.MaskHash}
	of := func(all ...access.DocumentMasks) *Hidden {
		h, err := masks.Union(all, "jobs")
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	h := of(paths, detect, paths, access.DocumentMasks{}, access.DocumentMasks{Paths: []access.PathMask{{Path: "$.ssn", Mask: hash}}})
	out, hits, err := h.Body(nil, "", "", []byte(`{"ssn":"`+canary+`","n":"`+card+`"}`))
	if err != nil || hits != 2 || string(out) != `{"ssn":"[redacted]","n":"[redacted]"}` {
		t.Errorf("%s %d %v", out, hits, err)
	}
	if of(paths, detect) != of(access.DocumentMasks{Paths: append([]access.PathMask(nil), paths.Paths...)}, detect, paths) || of(paths) == of(detect) || of(access.DocumentMasks{}) != nil {
		t.Error("the same masks are the same, and others are others")
	}
	null := access.Mask{Strategy: access.MaskNull}
	out, _, err = of(access.DocumentMasks{Whole: &redact}, access.DocumentMasks{Whole: &null}, paths).Body(nil, "application/json", "", []byte(`{}`))
	if err != nil || string(out) != "null" {
		t.Errorf("%s %v", out, err)
	}
}
