package identity

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"net/netip"
	"reflect"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// TestMayFollow is the table of who may send the gateway where.
func TestMayFollow(t *testing.T) {
	for _, test := range []struct {
		issuer, other string
		want          bool
	}{
		{"8.8.8.8", "1.1.1.1", true},
		{"8.8.8.8", "2606:4700::1111", true},
		{"8.8.8.8", "10.0.0.1", false},
		{"8.8.8.8", "100.64.0.1", false},
		{"8.8.8.8", "192.168.1.1", false},
		{"8.8.8.8", "fd00::1", false},
		{"8.8.8.8", "::ffff:10.0.0.1", false},
		{"8.8.8.8", "127.0.0.1", false},
		{"8.8.8.8", "::1", false},
		{"8.8.8.8", "169.254.169.254", false},
		{"8.8.8.8", "fe80::1", false},
		{"8.8.8.8", "0.0.0.0", false},
		{"8.8.8.8", "::", false},
		{"8.8.8.8", "224.0.0.1", false},
		{"8.8.8.8", "255.255.255.255", false},
		{"10.0.0.1", "10.9.9.9", true},
		{"10.0.0.1", "8.8.8.8", true},
		{"10.0.0.1", "127.0.0.1", false},
		{"10.0.0.1", "169.254.169.254", false},
		{"127.0.0.1", "::1", true},
		{"127.0.0.1", "10.0.0.1", true},
		{"127.0.0.1", "169.254.169.254", false},
		{"169.254.169.254", "169.254.169.254", false},
	} {
		issuer, other := reachOf(netip.MustParseAddr(test.issuer)), reachOf(netip.MustParseAddr(test.other))
		if got := mayFollow(issuer, other); got != test.want {
			t.Errorf("issuer at %s, keys at %s: %v", test.issuer, test.other, got)
		}
	}
}

// TestCacheIsBounded does random things to a cache: it never holds more than it may, knows its own size, and what it
// returns is what was put last.
func TestCacheIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCache(rapid.IntRange(1, 8).Draw(t, "entries"), rapid.IntRange(1, 20000).Draw(t, "bytes"))
		last := map[cacheKey]*verified{}
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			n := rapid.Uint64Range(0, 12).Draw(t, "key")
			k := cacheKey(sha256.Sum256(binary.BigEndian.AppendUint64(nil, n)))
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0, 1:
				if e := c.get(k); e != nil {
					c.drop(e)
				}
			case 2, 3, 4:
				if got := c.get(k); got != nil && got != last[k] {
					t.Fatal("an old entry came back")
				}
			default:
				last[k] = &verified{key: k, cost: costOf(rapid.IntRange(0, MaxToken).Draw(t, "size"))}
				c.put(last[k])
			}
			total := 0
			for _, e := range c.entries {
				total += e.Value.(*verified).cost
			}
			if len(c.entries) != c.recent.Len() || len(c.entries) > c.maxEntries || total != c.bytes || c.bytes > c.maxBytes {
				t.Fatalf("%d entries, %d in order, %d bytes counted, %d held", len(c.entries), c.recent.Len(), c.bytes, total)
			}
		}
	})
}

// FuzzDecodeObject compares the strict reader with the standard one: what it accepts is JSON, and reads the same.
func FuzzDecodeObject(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"a":1,"b":[true,null,"x",{"c":1.5}]}`, `{"a":1,"a":2}`, `{"\ud800":1}`, `{"a":"\ud83d\ude00"}`, `[`, `{"a":1}x`,
		`{"n":9223372036854775807}`, `{"n":9223372036854775808}`, `{"n":-0}`, `{"n":1e2}`, `{"":""}`, "{\"a\":\"\xff\"}", `{"a":"[[[["}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := decodeObject(b)
		if err != nil {
			return
		}
		var want map[string]any
		if !utf8.Valid(b) || json.Unmarshal(b, &want) != nil {
			t.Fatalf("accepted %q", b)
		}
		again, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		var back map[string]any
		if err := json.Unmarshal(again, &back); err != nil || !reflect.DeepEqual(back, want) {
			t.Errorf("%q reads as %v here and %v elsewhere", b, back, want)
		}
	})
}
