package mask_test

import (
	"bytes"
	"fmt"
	"math/rand"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse/internal/access"
	"gatehouse/internal/mask"
)

func testKey() *mask.Key { return mask.NewKey([32]byte{1, 2, 3}) }

func scanner(t testing.TB, m access.Mask, entities ...string) *mask.Scanner {
	t.Helper()
	if len(entities) == 0 {
		entities = mask.Entities()
	}
	var d []access.Detection
	for _, e := range entities {
		d = append(d, access.Detection{Entity: e, Mask: m})
	}
	s, err := mask.NewScanner(d, testKey())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var redact = access.Mask{Strategy: access.MaskRedact}

// TestFinds shows each thing a detector must find, alone and where it stands in a text; # marks what must be left.
func TestFinds(t *testing.T) {
	for entity, values := range map[string][]string{
		access.EntityCreditCard: {
			"4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111", "378282246310005", "3782 822463 10005",
			"5555555555554444", "2223003122003222", "6011111111111117", "30569309025904", "3530111333300000",
			"4222222222222", "4000 0000 0000 0000 006", "６０１１１１１１１１１１１１１７", "4111\u00a01111\u00a01111\u00a01111",
			"4111‑1111‑1111‑1111", "4111\u200b1111\u200b1111\u200b1111", "٤١١١١١١١١١١١١١١١", "𝟒𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏", "४१११११११११११११११",
		},
		access.EntityEmail: {
			"ada@example.com", "a.b+tag@sub.example.co.uk", "jörg@müller.de", `"ada lovelace"@example.com`, "ada＠example．com",
			"o'brien@example.ie", "x@xn--80ak6aa92e.xn--p1ai", "A_B-1@EXAMPLE.ORG", "ada@example.c\u00f3m",
		},
		access.EntitySSN:   {"123-45-6789", "123 45 6789", "899.12.3456", "123–45–6789", "123-45-6789"},
		access.EntityPhone: {"+14155552671", "+1 415-555-2671", "(415) 555-2671", "415-555-2671", "415.555.2671", "1-415-555-2671", "+44 20 7946 0958", "+49 30 901820", "+49 (30) 901820", "+44 (0)20 7946 0958", "+1 604 555 2671", "+1 876 555 2671", "0049 30 901820", "020 7946 0958", "01 42 68 53 00", "＋１ 415 555 2671"},
		access.EntityIBAN:  {"DE89370400440532013000", "DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "gb82 west 1234 5698 7654 32", "NO9386011117947", "FR14 2004 1010 0505 0001 3M02 606", "MT84MALT011000012345MTLCAST001S", "BR1500000000000010932840814P2", "DE89\u202f3704\u202f0044\u202f0532\u202f0130\u202f00"},
		access.EntityIP:    {"192.168.0.1", "8.8.8.8", "255.255.255.255", "2001:db8::1", "::1", "fe80::1:2:3", "2001:0db8:85a3:0000:0000:8a2e:0370:7334", "::ffff:192.0.2.1", "1:2:3:4:5:6:7:8", "１９２.168.0.1"},
	} {
		s := scanner(t, redact, entity)
		for _, v := range values {
			for _, around := range []string{"#", "x # y", `{"k":"#"}`, "(#)", "a,#,b", "is #.", "# and ", "'#'", "k=#;", "12, #", "\n#\n", "é #", "<#>", "\xff #"} {
				in := strings.ReplaceAll(around, "#", v)
				out, hits := s.Mask(nil, []byte(in))
				if want := strings.ReplaceAll(around, "#", "[redacted]"); string(out) != want || hits != 1 {
					t.Errorf("%s: %q became %q (%d hits), want %q", entity, in, out, hits, want)
				}
			}
		}
	}
}

func TestFindsNamedSSN(t *testing.T) {
	s := scanner(t, redact, access.EntitySSN)
	out, hits := s.Mask(nil, []byte(`{"ssn": "123456789", "order": "123456789"}`))
	if hits != 1 || string(out) != `{"ssn": "[redacted]", "order": "123456789"}` {
		t.Fatalf("%d %s", hits, out)
	}
}

// TestLeavesAlone holds what looks like sensitive data and is not: all detectors together must return it untouched.
func TestLeavesAlone(t *testing.T) {
	s := scanner(t, redact)
	for _, v := range []string{
		"", "plain text", "42", "ORD-2024-000123", "order 123456789", "1234567890", "4155552671", "INV-415-555", "000-00-0000",
		"666-12-3456", "900-12-3456", "123-00-6789", "123-45-0000", "4111111111111112", "1234567890123456", "0000000000000000",
		"1700000000", "1700000000000", "1700000000000000", "1700000000000000000",
		"2024-05-06", "2024-05-06 07:08:09", "2024-05-06T07:08:09.123456Z", "2024-05-06 07:08:09.123456+02", "07:08:09", "2024-05-06 07:08:09+0200",
		"[2024-05-06 07:08:09,123]", "20240506070809", "06/05/2024", "6.5.2024", "2024.05.06",
		"550e8400-e29b-41d4-a716-446655440000", "12345678-1234-1234-1234-123456789012", "41111111-1111-1111-1111-111111111111",
		"d41d8cd98f00b204e9800998ecf8427e", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"de89370400440532013000de89370400440532013000", "a4111111111111111", "4111111111111111f",
		"0.4111111111111111", "3.14159265358979", "4111111111111111.5", "-12.5e+10", "1e+14155552671", "1,234,567.89", "99.99.99",
		"1.2.3", "1.2.3.4.5", "256.1.1.1", "v1.2.3.4", "01.2.3.4", "1.2.3.4a", "12:34", "12:34:56", "00:1b:44:11:3a:b7", "a::text", "std::vector", "x::int", "::",
		"user@localhost", "@mention", "a@b", "npm@1.2.3", "logo@2x.png", "@@", "foo@.com", "foo@-x.com", "a @ b.com",
		"+1", "+123", "+99999999999", "+0 000 000 000", "(123) 456-7890", "123-456-7890", "111-222-3333", "0012345678", "00 11", "SKU 0123-4567-89",
		"GB82WEST12345698765433", "DE00370400440532013000", "XX89370400440532013000", "AB12", "NO93 8601 1117 948",
		"tok_abcdefghijklmnopqrstuvwx", "[redacted]", "************1111", "<tok_22222222222222222222222222>",
		"naïve café — déjà vu…", "日本語のテキスト", "٣ items", "\xff\xfe\x80",
	} {
		in := []byte(v)
		out, hits := s.Mask(make([]byte, 0, 8), in)
		if hits != 0 || string(out) != v {
			t.Errorf("%q became %q (%d hits)", v, out, hits)
		}
		if len(in) > 0 && &out[0] != &in[0] {
			t.Errorf("%q was copied", v)
		}
	}
}

// TestLeavesIdentifiersAlone does the same for random UUIDs, digests, times, whole numbers below 13 digits and fractions.
func TestLeavesIdentifiersAlone(t *testing.T) {
	s := scanner(t, redact)
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "raw")
		at := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "time"), rapid.Int64Range(0, 999_999_999).Draw(t, "fraction")).UTC()
		layouts := []string{time.RFC3339Nano, time.RFC1123Z, time.DateTime, time.StampMicro, "20060102150405", "02.01.2006 15:04", "2006-01-02 15:04:05.000000-07", "01/02/2006 03:04:05 PM", "2006/01/02-15:04:05"}
		for _, v := range []string{
			fmt.Sprintf("%x-%x-%x-%x-%x", raw[:4], raw[4:6], raw[6:8], raw[8:10], raw[10:16]),
			fmt.Sprintf("%x", raw[:16]), fmt.Sprintf("%X", raw[:20]), fmt.Sprintf("%x", raw),
			at.Format(rapid.SampledFrom(layouts).Draw(t, "layout")),
			strconv.FormatInt(rapid.Int64Range(-999_999_999_999, 999_999_999_999).Draw(t, "int"), 10),
			strconv.FormatFloat(rapid.Float64().Draw(t, "float"), 'g', -1, 64),
			strconv.FormatFloat(rapid.Float64Range(0, 1e9).Draw(t, "price"), 'f', 2, 64),
			fmt.Sprintf("ORD-%d-%06d", at.Year(), raw[0]),
		} {
			if out, hits := s.Mask(nil, []byte(v)); hits != 0 {
				t.Fatalf("%q became %q", v, out)
			}
		}
	})
}

func TestOverlapTakesTheStrongerMask(t *testing.T) {
	for _, strong := range []access.MaskStrategy{access.MaskRedact, access.MaskHash, access.MaskNull} {
		d := []access.Detection{
			{Entity: access.EntityPhone, Mask: access.Mask{Strategy: access.MaskPartial, KeepLast: 4}},
			{Entity: access.EntityEmail, Mask: access.Mask{Strategy: strong}},
		}
		for range 2 { // in either order
			d[0], d[1] = d[1], d[0]
			s, err := mask.NewScanner(d, testKey())
			if err != nil {
				t.Fatal(err)
			}
			out, hits := s.Mask(nil, []byte("x +14155552671@example.com y"))
			if hits != 1 || bytes.Contains(out, []byte("2671")) || bytes.Contains(out, []byte("example")) {
				t.Errorf("%s: %q, %d hits", strong, out, hits)
			}
		}
	}
}

func TestUnknownDetector(t *testing.T) {
	if _, err := mask.NewScanner([]access.Detection{{Entity: "NAME"}}, nil); err == nil {
		t.Fatal("an unknown detector was accepted")
	}
}

func TestNoDetections(t *testing.T) {
	s, err := mask.NewScanner(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if out, hits := s.Mask(nil, []byte("4111111111111111 é")); hits != 0 || string(out) != "4111111111111111 é" {
		t.Fatal(out, hits)
	}
}

// TestManyPhones bounds the work that one value can cause: past the bound everything that looks right is hidden.
func TestManyPhones(t *testing.T) {
	s := scanner(t, redact, access.EntityPhone)
	out, _ := s.Mask(nil, []byte(strings.Repeat("+14155552671 ", 1000)))
	if bytes.Contains(out, []byte("2671")) {
		t.Fatal("a number got through")
	}
}

// TestLinesAreIndependent: what is masked on one line does not depend on the other lines.
func TestLinesAreIndependent(t *testing.T) {
	s := scanner(t, redact)
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawText(t, "a"), drawText(t, "b")
		one, _ := s.Mask(nil, []byte(a))
		two, _ := s.Mask(nil, []byte(b))
		both, _ := s.Mask(nil, []byte(a+"\n"+b))
		if want := string(one) + "\n" + string(two); string(both) != want {
			t.Fatalf("%q and %q: %q, want %q", a, b, both, want)
		}
	})
}

// TestPlanted: a planted value is gone, wherever it stands, whatever the mask.
func TestPlanted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.SampledFrom([]string{"4111111111111111", "ada@example.com", "123-45-6789", "+14155552671", "DE89370400440532013000", "192.168.0.1"}).Draw(t, "secret")
		m := access.Mask{Strategy: rapid.SampledFrom([]access.MaskStrategy{access.MaskRedact, access.MaskHash, access.MaskNull, access.MaskPartial, "?"}).Draw(t, "strategy"), KeepFirst: 9, KeepLast: 9}
		var d []access.Detection
		for _, e := range mask.Entities() {
			d = append(d, access.Detection{Entity: e, Mask: m})
		}
		s, err := mask.NewScanner(d, testKey())
		if err != nil {
			t.Fatal(err)
		}
		in := drawText(t, "before") + " \t" + secret + ";\t" + drawText(t, "after")
		out, hits := s.Mask(nil, []byte(in))
		if hits == 0 || strings.Contains(string(out), " \t"+secret+";") {
			t.Fatalf("%q became %q", in, out)
		}
	})
}

// drawText draws text made of the pieces that detectors care about.
func drawText(t *rapid.T, label string) string {
	pieces := rapid.SampledFrom([]string{"4111", "1111", "4111111111111111", " ", "-", ".", "@", "a", "example.com", "+1", "+", "415", "555", "2671", "DE89", "3704", ":", "::", "12", "192.168", "(", ")", "é", "\u00a0", "\u200b", "１", "\xff", "_", "x", "ssn", "123", "45", "6789", "/", "\"", ",", "00"})
	return strings.Join(rapid.SliceOfN(pieces, 0, 24).Draw(t, label), "")
}

func FuzzScanner(f *testing.F) {
	for _, v := range []string{
		"4111 1111 1111 1111", "ada@example.com, +1 415-555-2671", "DE89 3704 0044 0532 0130 00", "2001:db8:1111:1111::1:1 and 10.0.0.1",
		"\"a b\"@c.de 123-45-6789", "６０１１１１１１１１１１１１１７\u200b", "\xff4111111111111111\xff", "a@b.co@c.de", "+1(415)555.2671/2", "0049 30 901820",
	} {
		f.Add([]byte(v))
	}
	var all []*mask.Scanner
	for _, m := range []access.Mask{redact, {Strategy: access.MaskHash}, {Strategy: access.MaskNull}, {Strategy: access.MaskPartial, KeepFirst: 2, KeepLast: 8}} {
		all = append(all, scanner(f, m))
	}
	f.Fuzz(func(t *testing.T, v []byte) {
		before := bytes.Clone(v)
		for _, s := range all {
			out, hits := s.Mask(nil, v)
			if !bytes.Equal(v, before) {
				t.Fatal("the value was changed in place")
			}
			if hits == 0 && !bytes.Equal(out, v) {
				t.Fatalf("no hits, yet %q became %q", v, out)
			}
			if again, more := s.Mask(nil, out); more != 0 || !bytes.Equal(again, out) {
				t.Fatalf("%q became %q, and then %q", v, out, again)
			}
		}
	})
}

func BenchmarkScanner(b *testing.B) {
	words := []byte(strings.Repeat("the quick brown fox jumps over the lazy dog, again and again; ", 64))
	mixed := []byte(strings.Repeat("order 8812 shipped on 2024-05-06 07:08:09 by truck 12 at 3.5 kg; ", 64))
	utf := []byte(strings.Repeat("Grüße aus Köln, schöne Aussicht über die Dächer; ", 64))
	dirty := []byte(strings.Repeat("the quick brown fox jumps over the lazy dog again and again; ", 16) + "ada@example.com 4111 1111 1111 1111")
	phones := []byte("+14155552671")
	s := scanner(b, redact)
	for _, c := range []struct {
		name string
		v    []byte
	}{{"clean", words}, {"cleanShort", words[:24]}, {"digits", mixed}, {"utf8", utf}, {"found", dirty}, {"phone", phones}} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.v)))
			b.ReportAllocs()
			dst := make([]byte, 0, 2*len(c.v))
			for b.Loop() {
				s.Mask(dst, c.v)
			}
		})
	}
}

// BenchmarkRow looks at what the rows of a shop hold, none of which is like the one before: what is found is rare, and what
// nearly looks like it is not.
func BenchmarkRow(b *testing.B) {
	s := scanner(b, redact)
	r := rand.New(rand.NewSource(1))
	var rows [1024][][]byte
	for i := range rows {
		rows[i] = [][]byte{fmt.Appendf(nil, "%08x-%04x-%04x-%04x-%012x", r.Uint32(), r.Intn(1<<16), r.Intn(1<<16), r.Intn(1<<16), r.Int63n(1<<48)),
			[]byte("Ada Lovelace"), []byte("ada@example.org"), []byte("Utrecht"), fmt.Appendf(nil, "2026-%02d-%02d 07:%02d:09", 1+i%12, 1+i%28, i%60),
			fmt.Appendf(nil, "%.2f", r.Float64()*1000), fmt.Appendf(nil, "left with a neighbour, ring twice at number %d", i%300), []byte("paid")}
	}
	dst := make([]byte, 0, 256)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		for _, cell := range rows[i%len(rows)] {
			s.Mask(dst, cell)
		}
	}
}
