package cli

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"gatehouse/internal/access"
)

func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"plain ünïcode ‹tok› 日本": "plain ünïcode ‹tok› 日本",
		"\x1b[31mred\x1b[0m":     `\x1b[31mred\x1b[0m`,
		"a\nb\tc\rd":             `a\nb\tc\rd`,
		"\u009b31m":              `\u009b31m`,         // C1's own CSI
		"user\u202egnp.exe":      `user\u202egnp.exe`, // reverses what follows
		"zero\u200bwidth":        `zero\u200bwidth`,
		"bad\xffutf8":            `bad\xffutf8`,
		"\u2028":                 `\u2028`,
		"\ufffd":                 "\ufffd", // a real replacement character stays
		"":                       "",
	} {
		if got := visible(in); got != want {
			t.Errorf("visible(%q) = %q, want %q", in, got, want)
		}
	}
	if got := visibleLines("a\n\tb\x1b"); got != "a\n\tb"+`\x1b` {
		t.Errorf("visibleLines: %q", got)
	}
}

func FuzzVisible(f *testing.F) {
	f.Add("select \x1b]0;owned\x07", 10)
	f.Add("\xff\xfe\u202e日本\u0301", 3)
	f.Fuzz(func(t *testing.T, s string, n int) {
		n = max(2, min(n, 200))
		for name, got := range map[string]string{"visible": visible(s), "short": short(s, n)} {
			if !utf8.ValidString(got) || strings.ContainsFunc(got, hidden) {
				t.Errorf("%s(%q) = %q", name, s, got)
			}
		}
		if w := width(short(s, n)); w > n {
			t.Errorf("short(%q, %d) is %d wide", s, n, w)
		}
		if visible(visible(s)) != visible(s) {
			t.Errorf("visible is not stable for %q", s)
		}
	})
}

func TestTableEscapesCellsAndAligns(t *testing.T) {
	var out bytes.Buffer
	a := &app{Deps: Deps{Out: &out, Env: func(string) string { return "" }}}
	a.table([]string{"NAME", "STATE"}, [][]string{{"a\nb", "ok"}, {"日本語", "pending"}})
	want := "NAME  STATE\n" + `a\nb  ok` + "\n日本語   pending\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestColour(t *testing.T) {
	for name, c := range map[string]struct {
		terminal bool
		env      map[string]string
		want     string
	}{
		"file":     {false, nil, "x"},
		"terminal": {true, nil, "\x1b[31mx\x1b[0m"},
		"NO_COLOR": {true, map[string]string{"NO_COLOR": "1"}, "x"},
		"dumb":     {true, map[string]string{"TERM": "dumb"}, "x"},
	} {
		a := &app{Deps: Deps{Terminal: c.terminal, Env: func(k string) string { return c.env[k] }}}
		if got := a.paint(red, "x"); got != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{-1: "0s", 90 * time.Second: "90s", 3 * time.Minute: "3m", 5 * time.Hour: "5h", 72 * time.Hour: "3d"} {
		if got := age(d); got != want {
			t.Errorf("age(%s) = %s", d, got)
		}
	}
}

func TestKindOf(t *testing.T) {
	for typed, want := range map[string]string{"policy": access.KindPolicy, "Policies": access.KindPolicy, "ROLE": access.KindRole,
		"roles": access.KindRole, "connections": access.KindConnection, "issuer": access.KindIssuer, "policys": "", "": "", "x": "", "roleies": ""} {
		if got, err := kindOf(typed); got != want || (err == nil) != (want != "") {
			t.Errorf("kindOf(%q) = %q, %v", typed, got, err)
		}
	}
}

func TestParseClaims(t *testing.T) {
	c, err := parseClaims([]string{"a=text", "b=true", "c=7", `d=["x"]`, "e=a=b", "f=", "g=null", `h="7"`})
	if err != nil || c["a"] != "text" || c["b"] != true || c["c"] != 7.0 || c["e"] != "a=b" || c["f"] != "" || c["g"] != "null" || c["h"] != "7" {
		t.Errorf("%v %v", c, err)
	}
	for _, bad := range [][]string{{"a"}, {"=v"}, {"a=1", "a=2"}} {
		if _, err := parseClaims(bad); err == nil {
			t.Errorf("%v is taken", bad)
		}
	}
}

func TestReadSecret(t *testing.T) {
	for in, want := range map[string]string{"p\n": "p", "p\r\n": "p", "p\n\n": "p\n", "p": "p", " p ": " p "} {
		a := &app{Deps: Deps{In: strings.NewReader(in)}}
		got, err := a.readSecret("")
		if err != nil || string(got.Reveal()) != want {
			t.Errorf("%q gives %q, %v", in, got.Reveal(), err)
		}
		file := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(file, []byte(in), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := a.readSecret(file); err != nil || string(got.Reveal()) != in {
			t.Errorf("file %q gives %q, %v", in, got.Reveal(), err)
		}
	}
	for _, bad := range []string{"", "\n", strings.Repeat("x", maxSecret+1)} {
		a := &app{Deps: Deps{In: strings.NewReader(bad)}}
		if _, err := a.readSecret(""); err == nil {
			t.Errorf("%d bytes are taken", len(bad))
		}
	}
}

func TestBackupIsPrivateAndWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "b")
	if _, err := writeWhole(path, func(w io.Writer) error {
		_, err := w.Write([]byte("half"))
		if err == nil {
			err = os.ErrDeadlineExceeded
		}
		return err
	}); err == nil {
		t.Fatal("no error")
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
