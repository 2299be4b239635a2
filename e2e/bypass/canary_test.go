package bypass

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
)

// canaries are the words of the masked values, each long and odd enough to be nowhere by chance.
func (v values) canaries() []string {
	return []string{v.tag, v.email, v.ssn, v.card, v.phone, v.salary[:7], v.born, v.first[4:]}
}

// spellings are the forms in which a word is looked for in bytes received: as it is (a binary text is the same), in upper and
// lower case, reversed, in hexadecimal, in UTF-16, and in base64 at each of its three alignments.
func spellings(word string) [][]byte {
	reversed := []rune(word)
	slices.Reverse(reversed)
	wide := []byte(strings.Join(strings.Split(word, ""), "\x00"))
	all := [][]byte{[]byte(word), []byte(strings.ToUpper(word)), []byte(strings.ToLower(word)), []byte(string(reversed)),
		[]byte(hex.EncodeToString([]byte(word))), []byte(strings.ToUpper(hex.EncodeToString([]byte(word)))), wide}
	for shift := range 3 {
		encoded := base64.StdEncoding.EncodeToString(append(make([]byte, shift), word...))
		inner := encoded[(shift*8+5)/6 : (shift+len(word))*8/6] // without the letters that mix with what stands beside
		all = append(all, []byte(inner), []byte(strings.NewReplacer("+", "-", "/", "_").Replace(inner)))
	}
	return all
}

// TestSpellings: each form is found where the word is, and is too long to be in a session's random bytes by chance.
func TestSpellings(t *testing.T) {
	for _, v := range []values{left, right} {
		for _, word := range v.canaries() {
			for _, form := range spellings(word) {
				if len(form) < 5 {
					t.Errorf("%s is looked for as %q", word, form)
				}
			}
			for before := range 3 {
				text := base64.StdEncoding.EncodeToString([]byte("\xff\xfe\xfd"[:before] + word + "\xfc\xfb\xfa"))
				if !slices.ContainsFunc(spellings(word), func(form []byte) bool { return strings.Contains(text, string(form)) }) {
					t.Errorf("%s is not found in %s", word, text)
				}
			}
		}
	}
}

// leaked returns the canary that is in what a session received, though the client has not sent it.
func (s *session) leaked() string {
	for _, v := range []values{left, right} {
		for _, word := range v.canaries() {
			if bytes.Contains(s.sent.Bytes(), []byte(word)) {
				continue
			}
			for _, form := range spellings(word) {
				if bytes.Contains(s.raw.Bytes(), form) {
					return word
				}
			}
		}
	}
	return ""
}
