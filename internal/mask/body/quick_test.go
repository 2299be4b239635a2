package body

import (
	"bytes"
	"math/rand"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"gatehouse/internal/access"
	"gatehouse/internal/mask"
)

// readers are the quick reader and the one that it is held against.
func readers(r *Rules, many bool, held int) (quick, slow *Masker) {
	quick, slow = &Masker{}, &Masker{}
	quick.s, slow.s = newJSON(r, held, many, &quick.hits), newReference(r, held, many, &slow.hits)
	return quick, slow
}

// masksOf are sets of masks that lead a reader through every way that it has.
func masksOf(t testing.TB) (all []*Rules) {
	redact, partial := access.Mask{Strategy: access.MaskRedact}, access.Mask{Strategy: access.MaskPartial, KeepLast: 4}
	null, hash, month := access.Mask{Strategy: access.MaskNull}, access.Mask{Strategy: access.MaskHash}, access.Mask{Strategy: access.MaskTruncate, Unit: "month"}
	var every []access.Detection
	for _, e := range mask.Entities() {
		every = append(every, access.Detection{Entity: e, Mask: redact})
	}
	at := func(m access.Mask, paths ...string) (d []access.PathMask) {
		for _, p := range paths {
			d = append(d, access.PathMask{Path: p, Mask: m})
		}
		return d
	}
	many := at(partial, "**.a.b.c", "$.x.y.z")
	for i := range 20 { // more than one word's
		many = append(many, access.PathMask{Path: "$.list[*].value.email.n" + strings.Repeat("x", i), Mask: redact})
	}
	for _, d := range []access.DocumentMasks{
		{Paths: at(redact, "$.list[*].email", "**.name")},
		{Paths: append(at(partial, "**.email"), at(hash, "$.list[*].email", "**.id")...)},
		{Paths: append(at(null, "$.*", "$.list"), at(month, "$[1]", "**[0].date")...)},
		{Paths: at(hash, "$.list[*].*", "$[*]")},
		{Paths: many},
		{Detect: every},
		{Paths: at(partial, "$.list[*].email", "$.a.**"), Detect: every},
	} {
		r, err := Compile(d, mask.NewKey([32]byte{1}), "shop")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// compare has both readers read a document in parts, and sees that they do the same with each.
func compare(t interface {
	Fatalf(format string, args ...any)
}, r *Rules, many bool, held int, in []byte, next func() int) {
	quick, slow := readers(r, many, held)
	var one, two, was []byte
	var err, errToo error
	for rest := in; len(rest) > 0 && err == nil && errToo == nil; {
		part := rest[:min(max(next(), 1), len(rest))]
		was = append(was[:0], part...)
		one, err = quick.Write(one, was)
		clear(was) // nothing of it may be kept
		was = append(was[:0], part...)
		two, errToo = slow.Write(two, was)
		rest = rest[len(part):]
	}
	if err == nil && errToo == nil {
		one, err = quick.Close(one)
		two, errToo = slow.Close(two)
	}
	if (err == nil) != (errToo == nil) || err != nil && err.Error() != errToo.Error() {
		t.Fatalf("%.300q: %v, byte by byte %v", in, err, errToo)
	}
	if !bytes.Equal(one, two) || quick.Hits() != slow.Hits() {
		t.Fatalf("%.300q became %.300q (%d), byte by byte %.300q (%d), %v", in, one, quick.Hits(), two, slow.Hits(), err)
	}
}

// plainDocument is a document in which most is plain, with now and then something that is not.
const plainDocument = `{"list":[{"id":1,"name":"Ada L","email":"ada@example.org","date":"2026-01-02T03:04:05Z","n":-1.50,"ok":true},
 {"id" : 20, "name":null, "email":["a",{"x":1}],"date":"2026-01-02","n":1e9,"ok":false,"ssn":"123456789"}, {"id":3,"\u006eame":"\u00e9\n","Email":"é@é.example",
 "value":{"email":{"nxx":1,"nx":[],"n":{}}},"":{"a":{"b":{"c":4111111111111111}}},"a name that is too long to be guessed":1,"192.168.0.1":"192.168.0.1"}],"a":{"b":[[],{},[{}]],"c":0},
 "x":{"y":{"z":"0123456789"}},"next":null,"d":12345678901234567890}`

// TestQuickReader: whatever is done to a byte of a document, and wherever it is cut in two, the quick reader comes to what the other
// one comes to: the same bytes, the same error, the same number of hidden values.
func TestQuickReader(t *testing.T) {
	in := []byte(strings.ReplaceAll(plainDocument, "\n", ""))
	all := masksOf(t)
	for i := range in {
		r := all[i%len(all)]
		first := true
		compare(t, r, i%2 == 0, defaultHeld, in, func() int {
			if first {
				first = false
				return i
			}
			return len(in)
		})
		for _, c := range []byte("\"\\{}[]:,' \n\x00\xff\xc30-.et/") {
			broken := bytes.Clone(in)
			broken[i] = c
			compare(t, all[(i+int(c))%len(all)], false, defaultHeld, broken, func() int { return len(in) })
		}
		compare(t, r, false, defaultHeld, in[:i], func() int { return len(in) })
	}
}

// TestQuickReaderOnAnything is the same with documents of any shape, in parts of any size, while little is held.
func TestQuickReaderOnAnything(t *testing.T) {
	all := masksOf(t)
	pieces := []string{"{", "{", "}", "}", "[", "]", "]", ",", ",", ":", `"name":`, `"email":"`, `"email":`, `"a":`, `"id" : `, `"list":[`, `"x":{"y":{"z":`, `"value":`, `"date":"2026-01-02"`,
		`"Ada"`, `"`, `"`, `\n`, `\u00e9`, "é", "12", "-0.5", "01", "true", "null", "4111111111111111", "4.111111111111111e15", `"ssn":123456789`, " ", "\n", "\t", "ada@example.org", `"abcdefghijklmnopqrstuvwxyz"`, "\x7f"}
	rapid.Check(t, func(t *rapid.T) {
		in := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 60).Draw(t, "pieces"), "")
		if rapid.Bool().Draw(t, "in a document") {
			at := rapid.IntRange(0, len(plainDocument)).Draw(t, "at")
			in = plainDocument[:at] + in + plainDocument[at:]
		}
		seed := rand.New(rand.NewSource(rapid.Int64().Draw(t, "seed")))
		size := rapid.SampledFrom([]int{1, 7, 40, 1 << 20}).Draw(t, "size")
		held := rapid.SampledFrom([]int{8, 30, defaultHeld}).Draw(t, "held")
		compare(t, rapid.SampledFrom(all).Draw(t, "masks"), rapid.Bool().Draw(t, "many"), held, []byte(in), func() int { return 1 + seed.Intn(size) })
	})
}

// FuzzReference is the same for the fuzzer.
func FuzzReference(f *testing.F) {
	f.Add([]byte(plainDocument), uint8(0), int64(1), uint16(300))
	f.Add([]byte(`[{"name":"x","email":12},{"name":"y","email":13}]`), uint8(1), int64(1), uint16(5))
	f.Add([]byte("{\"name\":1}\n{\"name\":2}\n"), uint8(128), int64(2), uint16(1))
	all := masksOf(f)
	f.Fuzz(func(t *testing.T, in []byte, which uint8, seed int64, size uint16) {
		random := rand.New(rand.NewSource(seed))
		compare(t, all[int(which&127)%len(all)], which >= 128, 1+int(uint64(seed)%defaultHeld), in, func() int { return 1 + random.Intn(int(size)+1) })
	})
}
