package body

import (
	"bytes"
	"mime"
	"slices"
	"strings"
	"unicode/utf8"
)

// KindOf tells what kind of document a media type is, or why that cannot be told. Of pictures, sounds, films and fonts, in which no detector
// would find a word, it tells the class: see Begun. Events and forms have other fields than the document that a path was written for: with paths events are text, which has none, and forms
// are not read.
func KindOf(contentType string, paths bool) (kind Kind, class, why string) {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return 0, "", "its type is not known"
	}
	if cs := strings.ToLower(params["charset"]); cs != "" && cs != "utf-8" && cs != "utf8" && cs != "us-ascii" && cs != "ascii" {
		return 0, "", "its character set is not UTF-8"
	}
	switch main, sub, _ := strings.Cut(media, "/"); {
	case sub == "json" || strings.HasSuffix(sub, "+json"):
		return JSON, "", ""
	case media == "application/x-ndjson", media == "application/ndjson", media == "application/jsonl", media == "application/json-lines":
		return NDJSON, "", ""
	case strings.HasSuffix(sub, "xml"), media == "text/html" && !paths: // HTML for its references to characters
		return XML, "", ""
	case media == "text/event-stream" && !paths:
		return SSE, "", ""
	case media == "application/x-www-form-urlencoded" && !paths:
		return Form, "", ""
	case main == "text", media == "application/yaml", media == "application/javascript", strings.HasSuffix(sub, "+yaml"):
		return Text, "", ""
	case main == "image", main == "audio", main == "video", main == "font":
		return 0, main, ""
	}
	return 0, "", "it is of the type " + media
}

// signature is how a file begins: its bytes at a place.
type signature struct {
	at   int
	text string
}

// signatures are those of a class: of each list all have to be there. What is text in none of its bytes comes with some that are not.
func signatures(class string) [][]signature {
	boxes := func(sure ...[]signature) [][]signature { // ISO 14496-12: a size, which is small, and a name
		for _, box := range []string{"ftyp", "styp", "moov", "moof", "mdat", "wide", "free", "sidx"} {
			sure = append(sure, []signature{{0, "\x00\x00"}, {4, box}})
		}
		return sure
	}
	matroska, ogg := []signature{{0, "\x1aE\xdf\xa3"}}, []signature{{0, "OggS\x00"}}
	switch class {
	case "image":
		return boxes([]signature{{0, "\x89PNG\r\n\x1a\n"}}, []signature{{0, "\xff\xd8\xff"}}, []signature{{0, "GIF87a"}, {12, "\x00"}}, []signature{{0, "GIF89a"}, {12, "\x00"}},
			[]signature{{0, "RIFF"}, {8, "WEBPVP8"}}, []signature{{0, "BM"}, {6, "\x00\x00\x00\x00"}}, []signature{{0, "II*\x00"}}, []signature{{0, "MM\x00*"}},
			[]signature{{0, "\x00\x00\x01\x00"}}, []signature{{0, "\x00\x00\x02\x00"}}, []signature{{0, "\xff\x0a"}}, []signature{{0, "\x00\x00\x00\x0cJXL \r\n\x87\n"}},
			[]signature{{0, "\x00\x00\x00\x0cjP  \r\n\x87\n"}})
	case "audio":
		sure := boxes(matroska, ogg, []signature{{0, "RIFF"}, {8, "WAVEfmt "}}, []signature{{0, "FORM\x00"}, {8, "AIF"}}, []signature{{0, "MThd\x00\x00\x00\x06"}},
			[]signature{{0, "fLaC\x00\x00\x00"}}, []signature{{0, "fLaC\x80\x00\x00"}}, []signature{{0, "ID3\x02\x00"}}, []signature{{0, "ID3\x03\x00"}}, []signature{{0, "ID3\x04\x00"}})
		for _, c := range []byte{0xfb, 0xfa, 0xf3, 0xf2, 0xe3, 0xe2, 0xf1, 0xf9, 0xf0, 0xf8} { // frames of MPEG; 0xfe would be UTF-16
			sure = append(sure, []signature{{0, string([]byte{0xff, c})}})
		}
		return sure
	case "video":
		return boxes(matroska, ogg, []signature{{0, "RIFF"}, {8, "AVI LIST"}}, []signature{{0, "FLV\x01"}}, []signature{{0, "\x00\x00\x01\xba"}}, []signature{{0, "\x00\x00\x01\xb3"}},
			[]signature{{0, "0&\xb2u\x8ef\xcf\x11"}}, []signature{{0, "G"}, {188, "G"}, {376, "G"}})
	case "font":
		return [][]signature{{{0, "wOFF\x00\x01\x00\x00"}}, {{0, "wOF2\x00\x01\x00\x00"}}, {{0, "wOFFOTTO\x00"}}, {{0, "wOF2OTTO\x00"}}, {{0, "OTTO\x00"}},
			{{0, "\x00\x01\x00\x00\x00"}}, {{0, "true\x00"}}, {{0, "ttcf\x00"}}, {{8, "\x01\x00\x02\x00"}, {34, "LP"}}, {{8, "\x02\x00\x02\x00"}, {34, "LP"}}}
	}
	return nil
}

// Begun reports whether a body begins as one of its class does, and not as text does.
func Begun(b []byte, class string) bool {
	if whole := b[:len(b)-cutShort(b)]; utf8.Valid(whole) && !bytes.ContainsFunc(whole, func(r rune) bool { return r < '\t' }) {
		return false
	}
	return slices.ContainsFunc(signatures(class), func(all []signature) bool {
		return !slices.ContainsFunc(all, func(s signature) bool {
			return len(b) < s.at || !bytes.HasPrefix(b[s.at:], []byte(s.text))
		})
	})
}

// cutShort is how many bytes at the end of b may be the beginning of a character.
func cutShort(b []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		if c := b[len(b)-n]; utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRune(b[len(b)-n:]) {
				return n
			}
			break
		}
	}
	return 0
}
