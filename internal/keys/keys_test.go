package keys

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

const size = 32

func inDir(t *testing.T, name string) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "keys", name)
}

func mustLoad(t *testing.T, path string) access.Secret {
	t.Helper()
	k, err := LoadOrCreate(path, size, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func TestLoadOrCreate(t *testing.T) {
	path := inDir(t, "vault.key")
	first := mustLoad(t, path)
	if len(first.Reveal()) != size || !first.Equal(mustLoad(t, path)) {
		t.Fatal("the second start has another key than the first")
	}
	if other := mustLoad(t, inDir(t, "vault.key")); first.Equal(other) {
		t.Fatal("two gateways have the same key")
	}
	if m := mode(t, path); m != 0o600 {
		t.Errorf("the key file has mode %o", m)
	}
	if m := mode(t, filepath.Dir(path)); m != 0o700 {
		t.Errorf("its directory has mode %o", m)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v %v", entries, err)
	}
}

// TestSameKeyForAll: processes that start at once agree on one key.
func TestSameKeyForAll(t *testing.T) {
	path := inDir(t, "vault.key")
	keys := make([]access.Secret, 16)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() { keys[i] = mustLoad(t, path) })
	}
	wg.Wait()
	for _, k := range keys[1:] {
		if !k.Equal(keys[0]) {
			t.Fatal("two starts at once made two keys")
		}
	}
}

// TestHostileFiles: each file is wrong in one way, and is refused with what to do.
func TestHostileFiles(t *testing.T) {
	canary := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("canary!!"), 4))
	for name, c := range map[string]struct {
		prepare func(t *testing.T, path string) error
		want    string
	}{
		"readable by the group": {func(_ *testing.T, p string) error { return os.Chmod(p, 0o640) }, "chmod 600"},
		"readable by others":    {func(_ *testing.T, p string) error { return os.Chmod(p, 0o604) }, "chmod 600"},
		"writable by others":    {func(_ *testing.T, p string) error { return os.Chmod(p, 0o602) }, "chmod 600"},
		"someone else's":        {func(_ *testing.T, p string) error { return os.Chown(p, 12345, -1) }, "belongs to another user"},
		"a link":                {func(_ *testing.T, p string) error { return errors.Join(os.Rename(p, p+".x"), os.Symlink(p+".x", p)) }, "symbolic link"},
		"a link to nothing":     {func(_ *testing.T, p string) error { return errors.Join(os.Remove(p), os.Symlink(p+".x", p)) }, "symbolic link"},
		"a directory":           {func(_ *testing.T, p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o700)) }, "not a regular file"},
		"a pipe":                {func(_ *testing.T, p string) error { return errors.Join(os.Remove(p), syscall.Mkfifo(p, 0o600)) }, "not a regular file"},
		"empty":                 {func(_ *testing.T, p string) error { return os.Truncate(p, 0) }, "does not hold a key"},
		"cut":                   {func(_ *testing.T, p string) error { return os.Truncate(p, 20) }, "does not hold a key"},
		"too long":              {func(_ *testing.T, p string) error { return os.WriteFile(p, []byte(canary+canary), 0o600) }, "does not hold a key"},
		"endless":               {func(_ *testing.T, p string) error { return os.Truncate(p, 1<<30) }, "larger than any key file"},
		"not base64":            {func(_ *testing.T, p string) error { return os.WriteFile(p, []byte("canary!!"), 0o600) }, "does not hold a key"},
	} {
		t.Run(name, func(t *testing.T) {
			path := inDir(t, "k.key")
			if err := createPrivate(path, []byte(canary+"\n")); err != nil {
				t.Fatal(err)
			}
			if err := c.prepare(t, path); err != nil {
				t.Fatal(err)
			}
			for what, load := range map[string]func() error{
				"LoadOrCreate": func() error { _, err := LoadOrCreate(path, size, rand.Reader); return err },
				"Load":         func() error { _, err := Load(path, size); return err },
				"Rotate":       func() error { _, err := Rotate(path, size, rand.Reader); return err },
			} {
				err := load()
				say, _ := fault.Say(err)
				if fault.KindOf(err) != fault.Unavailable || !strings.Contains(say, c.want) {
					t.Errorf("%s: %v", what, err)
				}
				if strings.Contains(fmt.Sprintf("%+v", err), "canary") || strings.Contains(fmt.Sprint(err), canary[:12]) {
					t.Errorf("%s prints the key: %v", what, err)
				}
			}
		})
	}
}

func TestHostileDirectory(t *testing.T) {
	path := inDir(t, "k.key")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(path), 0o770); err != nil {
		t.Fatal(err)
	}
	_, err := LoadOrCreate(path, size, rand.Reader)
	if say, _ := fault.Say(err); !strings.Contains(say, "chmod 700") {
		t.Fatalf("got %v", err)
	}
}

func TestNoRandomness(t *testing.T) {
	path := inDir(t, "k.key")
	if _, err := LoadOrCreate(path, size, bytes.NewReader(make([]byte, size-1))); err == nil {
		t.Fatal("a key was made of too little")
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal("half a key was left behind")
	}
}

func TestRotation(t *testing.T) {
	path := inDir(t, "vault.key")
	want := []access.Secret{mustLoad(t, path)}
	for range 12 { // past 9, so that the order of numbers is not that of names
		k, err := Rotate(path, size, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		want = append([]access.Secret{k}, want...)
	}
	got, err := Versions(path, size)
	if err != nil || len(got) != len(want) {
		t.Fatalf("%d versions, %v", len(got), err)
	}
	for i := range want {
		if !got[i].Equal(want[i]) {
			t.Fatalf("version %d is another key", i)
		}
	}
	if m := mode(t, path+".12"); m != 0o600 {
		t.Errorf("an old key has mode %o", m)
	}
	if _, err := Rotate(inDir(t, "none.key"), size, rand.Reader); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key that does not exist was rotated: %v", err)
	}
}

// TestRotationSurvivesEveryStop stops a rotation at each of its steps.
func TestRotationSurvivesEveryStop(t *testing.T) {
	for name, stop := range map[string]func(t *testing.T, path string) error{
		"after keeping the old key": func(_ *testing.T, path string) error { return os.Link(path, path+".1") },
		"while writing the new key": func(_ *testing.T, path string) error {
			return errors.Join(os.Link(path, path+".1"), os.WriteFile(filepath.Join(filepath.Dir(path), ".vault.key.123"), []byte("half"), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := inDir(t, "vault.key")
			old := mustLoad(t, path)
			if err := stop(t, path); err != nil {
				t.Fatal(err)
			}
			if got, err := Versions(path, size); err != nil || len(got) != 1 || !got[0].Equal(old) {
				t.Fatalf("%d versions, %v", len(got), err)
			}
			fresh, err := Rotate(path, size, rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Versions(path, size)
			if err != nil || !got[0].Equal(fresh) || !got[len(got)-1].Equal(old) {
				t.Fatalf("%d versions, %v", len(got), err)
			}
		})
	}
}

func TestFromEnv(t *testing.T) {
	good := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, size))
	for name, c := range map[string]struct {
		value string
		set   bool
		ok    bool
	}{
		"good": {good, true, true}, "line end": {good + "\n", true, true}, "unset": {"", false, false}, "empty": {"", true, false},
		"short": {"AAAA", true, false}, "words": {"correct horse battery", true, false},
	} {
		k, err := FromEnv(func(string) (string, bool) { return c.value, c.set }, "KEY", size)
		if (err == nil) != c.ok || (c.ok && !bytes.Equal(k.Reveal(), bytes.Repeat([]byte{7}, size))) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && (!strings.Contains(err.Error(), "KEY") || (c.value != "" && strings.Contains(err.Error(), c.value))) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFromPassphrase(t *testing.T) {
	path := inDir(t, "vault.salt")
	right := access.NewSecret([]byte("correct horse battery staple"))
	derive := func(p access.Secret, path string) (access.Secret, error) {
		return FromPassphrase(p, path, size, rand.Reader)
	}
	first, err := derive(right, path)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := derive(right, path); err != nil || !again.Equal(first) {
		t.Fatalf("the same passphrase gives another key: %v", err)
	}
	if other, err := derive(right, inDir(t, "vault.salt")); err != nil || other.Equal(first) {
		t.Fatalf("another salt gives the same key: %v", err)
	}
	if _, err := derive(access.NewSecret([]byte("correct horse battery stable")), path); fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "does not fit") {
		t.Errorf("a wrong passphrase: %v", err)
	}
	if _, err := derive(access.NewSecret([]byte("short")), path); err == nil {
		t.Error("a short passphrase was taken")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{{`"memory_kib":65536`, `"memory_kib":4000000000`}, {`"time":3`, `"time":0`}, {"argon2id", "md5"}, {"{", "["}} {
		if err := os.WriteFile(path, bytes.Replace(b, []byte(change[0]), []byte(change[1]), 1), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := derive(right, path); err == nil || !strings.Contains(err.Error(), "not a passphrase file") {
			t.Errorf("%s: %v", change[1], err)
		}
	}
}

func TestSigning(t *testing.T) {
	path := inDir(t, "audit.key")
	s, err := LoadOrCreateSigning(path, "gateway-1", rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := note.Sign(&note.Note{Text: "checkpoint\n"}, s.Signer)
	if err != nil {
		t.Fatal(err)
	}
	public, err := os.ReadFile(PublicPath(path))
	if err != nil || string(public) != s.Verifier+"\n" || mode(t, PublicPath(path)) != 0o644 {
		t.Fatalf("the public key beside it is %q, %v", public, err)
	}
	verifier, err := note.NewVerifier(strings.TrimSpace(string(public)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := note.Open(signed, note.VerifierList(verifier)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(PublicPath(path), []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := LoadOrCreateSigning(path, "ignored", rand.Reader)
	if err != nil || again.Verifier != s.Verifier {
		t.Fatalf("the second start has another key: %v", err)
	}
	if public, err := os.ReadFile(PublicPath(path)); err != nil || string(public) != s.Verifier+"\n" {
		t.Fatalf("a public key that does not fit stayed: %v", err)
	}
	old, fresh, err := RotateSigning(path, rand.Reader)
	if err != nil || old.Verifier != s.Verifier || fresh.Verifier == s.Verifier || fresh.Signer.Name() != "gateway-1" {
		t.Fatalf("rotation: %v", err)
	}
	all, err := SigningVersions(path)
	if err != nil || len(all) != 2 || all[0] != fresh.Verifier || all[1] != old.Verifier {
		t.Fatalf("versions %v, %v", all, err)
	}
	if text := fmt.Sprintf("%v %+v %s", s, s, s); strings.Contains(text, "PRIVATE") {
		t.Fatalf("printed: %s", text)
	}
	if err := os.WriteFile(path, []byte("PRIVATE+KEY+canary+00000000+AAAA"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadOrCreateSigning(path, "x", rand.Reader); err == nil || strings.Contains(err.Error(), "canary") {
		t.Fatalf("a broken key: %v", err)
	}
}

func TestToken(t *testing.T) {
	path := inDir(t, "admin.token")
	first, err := LoadOrCreateToken(path, rand.Reader)
	if err != nil || !strings.HasPrefix(string(first.Reveal()), "gh_") || len(first.Reveal()) != 46 {
		t.Fatalf("%d bytes, %v", len(first.Reveal()), err)
	}
	if again, err := LoadOrCreateToken(path, rand.Reader); err != nil || !again.Equal(first) {
		t.Fatalf("the second start has another token: %v", err)
	}
	for _, bad := range []string{"", "gh_", "gh_short", "password", "gh_" + strings.Repeat("A", 44)} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadOrCreateToken(path, rand.Reader); err == nil {
			t.Errorf("%q was taken for a token", bad)
		}
	}
}
