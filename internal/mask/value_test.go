package mask_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"gatehouse/internal/access"
	"gatehouse/internal/mask"
)

func value(v string, m access.Mask) string {
	return string(mask.Value(nil, []byte(v), m, testKey(), "orders-db"))
}

func TestValue(t *testing.T) {
	last := func(n int) access.Mask { return access.Mask{Strategy: access.MaskPartial, KeepLast: n} }
	to := func(unit string) access.Mask { return access.Mask{Strategy: access.MaskTruncate, Unit: unit} }
	for _, tc := range []struct {
		v    string
		m    access.Mask
		want string
	}{
		{"secret", redact, "[redacted]"},
		{"", redact, "[redacted]"},
		{"secret", access.Mask{Strategy: access.MaskNull}, ""},
		{"secret", access.Mask{}, "[redacted]"},
		{"secret", access.Mask{Strategy: "sideways"}, "[redacted]"},
		{"123-45-6789", last(4), "*******6789"},
		{"ada@example.com", last(4), "***********.com"},
		{"ada@example.com", access.Mask{Strategy: access.MaskPartial, KeepFirst: 1}, "a**************"},
		{"1234", last(4), "***4"},
		{"1", last(4), "*"},
		{"", last(4), ""},
		{"secret", last(-3), "******"},
		{"Grüße, Jörg Ü", last(4), "*********rg Ü"},
		{"secret!\xff", last(4), "*****t!*"},
		{"2024-05-06", to("month"), "2024-05-01"},
		{"2024-05-06", to("year"), "2024-01-01"},
		{"2024-05-06 07:08:09.123456+02", to("month"), "2024-05-01 00:00:00+00"},
		{"2024-05-06T07:08:09Z", to("year"), "2024-01-01T00:00:00Z"},
		{"2024-05-06 07:08:09", to("year"), "2024-01-01 00:00:00"},
		{"2024-05-06 07:08:09-03:30", to("year"), "2024-01-01 00:00:00+00"},
		{"2024-05-06", to("day"), "[redacted]"},
		{"2024-02-30", to("month"), "[redacted]"},
		{"infinity", to("year"), "[redacted]"},
		{"0044-03-15 BC", to("year"), "[redacted]"},
		{"12024-05-06", to("year"), "[redacted]"},
		{"2024-05-06 and more", to("year"), "[redacted]"},
		{"2024-05-06 07:08:09+secret", to("year"), "[redacted]"},
		{"not a date", to("year"), "[redacted]"},
	} {
		if got := value(tc.v, tc.m); got != tc.want {
			t.Errorf("%q under %+v: %q, want %q", tc.v, tc.m, got, tc.want)
		}
	}
}

func TestHash(t *testing.T) {
	m, k := access.Mask{Strategy: access.MaskHash}, testKey()
	token := func(k *mask.Key, domain, v string) string { return string(mask.Value(nil, []byte(v), m, k, domain)) }
	one := token(k, "d", "ada")
	if one != token(k, "d", "ada") || len(one) != len("tok_")+24 || strings.Contains(one, "ada") {
		t.Fatalf("%q", one)
	}
	others := map[string]string{
		"another value": token(k, "d", "adb"), "another domain": token(k, "e", "ada"), "a moved boundary": token(k, "da", "da"),
		"another key": token(mask.NewKey([32]byte{9}), "d", "ada"), "the log's": string(mask.Token(nil, []byte("ada"), k)),
		"no key": token(nil, "d", "ada"),
	}
	for why, other := range others {
		if strings.Trim(other, "<>") == one {
			t.Errorf("%s gave the same token", why)
		}
	}
	if others["no key"] != "[redacted]" || string(mask.Token(nil, []byte("x"), nil)) != "[redacted]" {
		t.Error("without a key there must be no token")
	}
}

func TestKeyNeverPrints(t *testing.T) {
	k := mask.NewKey([32]byte{0xab, 0xcd})
	text, _ := k.MarshalText()
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "key", k)
	for _, s := range []string{fmt.Sprint(k), fmt.Sprintf("%v %+v %#v %x %s %d", k, k, k, k, k, k), string(text), log.String()} {
		if strings.Contains(strings.ToLower(s), "abcd") || strings.Contains(s, "171") || !strings.Contains(s, "[redacted]") {
			t.Errorf("%q", s)
		}
	}
}

// TestPartialKeepsAtMostHalf also shows that keeping less at one end never shows more anywhere.
func TestPartialKeepsAtMostHalf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.StringOf(rapid.RuneFrom([]rune("abcdéß日0123456789@."))).Draw(t, "v")
		a := access.Mask{Strategy: access.MaskPartial, KeepFirst: rapid.IntRange(-1, 70).Draw(t, "first"), KeepLast: rapid.IntRange(-1, 70).Draw(t, "last")}
		b := a
		b.KeepFirst, b.KeepLast = rapid.IntRange(-1, max(a.KeepFirst, 0)).Draw(t, "less"), rapid.IntRange(-1, max(a.KeepLast, 0)).Draw(t, "less")
		shown, fewer := []rune(value(v, a)), []rune(value(v, b))
		if len(shown) != utf8.RuneCountInString(v) {
			t.Fatalf("%q became %q", v, string(shown))
		}
		kept := 0
		for i, r := range shown {
			if r != '*' {
				kept++
			}
			if fewer[i] != '*' && fewer[i] != r {
				t.Fatalf("%q: %q shows what %q hides", v, string(fewer), string(shown))
			}
		}
		if kept*2 > len(shown) {
			t.Fatalf("%q became %q", v, string(shown))
		}
	})
}

func TestTruncateTime(t *testing.T) {
	zone := time.FixedZone("x", 3600)
	at := time.Date(2024, 5, 6, 7, 8, 9, 10, zone)
	for unit, want := range map[string]time.Time{
		"month": time.Date(2024, 5, 1, 0, 0, 0, 0, zone), "year": time.Date(2024, 1, 1, 0, 0, 0, 0, zone), "": {},
	} {
		if got := mask.TruncateTime(at, unit); !got.Equal(want) {
			t.Errorf("%q: %s", unit, got)
		}
	}
}

func FuzzTruncateText(f *testing.F) {
	for _, v := range []string{"2024-05-06", "2024-05-06 07:08:09.1+02:00", "2024-05-06T07:08:09Z", "x"} {
		f.Add([]byte(v), "year")
		f.Add([]byte(v), "month")
	}
	f.Fuzz(func(t *testing.T, v []byte, unit string) {
		out, ok := mask.TruncateText(nil, v, unit)
		if !ok {
			return
		}
		if again, ok := mask.TruncateText(nil, out, unit); !ok || string(again) != string(out) {
			t.Fatalf("%q became %q and then %q", v, out, again)
		}
		if _, err := time.Parse(time.DateOnly, string(out[:10])); err != nil || string(out[8:10]) != "01" {
			t.Fatalf("%q became %q", v, out)
		}
	})
}

func BenchmarkValue(b *testing.B) {
	k, v := testKey(), []byte("ada@example.com")
	for _, m := range []access.Mask{redact, {Strategy: access.MaskHash}, {Strategy: access.MaskPartial, KeepLast: 4}} {
		b.Run(string(m.Strategy), func(b *testing.B) {
			b.ReportAllocs()
			dst := make([]byte, 0, 64)
			for b.Loop() {
				mask.Value(dst, v, m, k, "orders-db")
			}
		})
	}
}
