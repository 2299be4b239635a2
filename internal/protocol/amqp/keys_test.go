package amqp

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// topicMatches says whether a topic exchange routes a key by a binding key: words, of which * is one and # any number.
func topicMatches(binding, key []string) bool {
	switch {
	case len(binding) == 0:
		return len(key) == 0
	case binding[0] == "#":
		return topicMatches(binding[1:], key) || len(key) > 0 && topicMatches(binding, key[1:])
	case len(key) == 0:
		return false
	}
	return (binding[0] == "*" || binding[0] == key[0]) && topicMatches(binding[1:], key[1:])
}

// in says whether a key is in a set, as access.Action defines it.
func (s keySet) in(key string) bool {
	if !s.wild {
		return oneKey(key).segment == s.segment
	}
	var b strings.Builder
	for _, part := range regexp.MustCompile(`\*\*+|\*|[^*]+`).FindAllString(s.segment, -1) {
		switch {
		case part == "*":
			b.WriteString(`[^./]*`)
		case part[0] == '*':
			b.WriteString(`[^/]*`)
		default:
			b.WriteString(regexp.QuoteMeta(part))
		}
	}
	return regexp.MustCompile(`\A(?:` + b.String() + `)\z`).MatchString(oneKey(key).segment)
}

// TestRapidBindingKeys: whatever a topic exchange routes by a binding key is in what the binding asks for; and so is the key itself, by which
// a direct exchange routes. With few words # there is nothing else in it.
func TestRapidBindingKeys(t *testing.T) {
	word := rapid.SampledFrom([]string{"a", "b", "*", "#", "", "a*", "/", "%"})
	rapid.Check(t, func(t *rapid.T) {
		binding := strings.Join(rapid.SliceOfN(word, 1, 5).Draw(t, "binding"), ".")
		words := rapid.SliceOfN(word, 1, 5).Draw(t, "words")
		if rapid.Bool().Draw(t, "routed") { // a key that the binding matches
			words = nil
			for w := range strings.SplitSeq(binding, ".") {
				switch w {
				case "#":
					words = append(words, rapid.SliceOfN(word, 0, 2).Draw(t, "some")...)
				case "*":
					words = append(words, word.Draw(t, "one"))
				default:
					words = append(words, w)
				}
			}
		}
		key := strings.Join(words, ".")
		if key == "" {
			words = nil // brokers differ in whether an empty key has no word or an empty one
		}
		sets := boundKeys(binding)
		asked := false
		for _, s := range sets {
			asked = asked || s.in(key)
		}
		routed := topicMatches(strings.Split(binding, "."), words) || topicMatches(strings.Split(binding, "."), strings.Split(key, "."))
		if (routed || key == binding) && !asked {
			t.Fatalf("%q takes %q, and asks for %v", binding, key, sets)
		}
		if len(sets) > 1<<maxVariants {
			t.Fatalf("%q asks for %d sets", binding, len(sets))
		}
		exact := !strings.Contains(binding, "#") && !strings.Contains(key, "/") && !strings.Contains(key, "%")
		if exact && asked && !routed && key != binding {
			t.Fatalf("%q does not take %q, and asks for %v", binding, key, sets)
		}
	})
}
