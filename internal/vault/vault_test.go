package vault_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/store"
	"gatehouse/internal/store/storetest"
	"gatehouse/internal/vault"
)

// canary is what no output may contain, in any of the encodings that the tests look for.
const canary = "correct-horse-CANARY-battery"

func key(b byte) access.Secret { return access.NewSecret(bytes.Repeat([]byte{b}, 32)) }

func ring(t testing.TB, current access.Secret, old ...access.Secret) *vault.Keyring {
	t.Helper()
	r, err := vault.NewKeyring(current, old...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func openStore(t testing.TB, path string) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), path, storetest.Clock())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func noEnv(string) (string, bool) { return "", false }

// newVault returns a vault over a real store, and the store's secrets.
func newVault(t testing.TB, r *vault.Keyring) (*vault.Vault, *store.Secrets) {
	t.Helper()
	sealed := openStore(t, filepath.Join(t.TempDir(), "state.db")).Secrets()
	return vault.New(sealed, r, vault.Sources{Env: noEnv}, rand.Reader), sealed
}

func put(t testing.TB, v *vault.Vault, name, value string) {
	t.Helper()
	if err := v.Put(context.Background(), name, access.NewSecret([]byte(value))); err != nil {
		t.Fatal(err)
	}
}

func lease(v *vault.Vault, name string) (string, error) {
	s, err := v.Lease(context.Background(), access.Credential{Secret: name})
	return string(s.Reveal()), err
}

func wantLease(t testing.TB, v *vault.Vault, name, want string) {
	t.Helper()
	if got, err := lease(v, name); err != nil || got != want {
		t.Errorf("%s is %q, %v", name, got, err)
	}
}

// refused expects an error that names what and says what to do, and holds nothing of the canary.
func refused(t testing.TB, err error, kind fault.Kind, words string) {
	t.Helper()
	say, _ := fault.Say(err)
	if err == nil || fault.KindOf(err) != kind || !strings.Contains(say, words) {
		t.Errorf("got %v (%v), want %v with %q", err, fault.KindOf(err), kind, words)
	}
	noCanary(t, fmt.Sprintf("%v %+v %#v", err, err, err))
}

func noCanary(t testing.TB, text string) {
	t.Helper()
	for _, form := range []string{canary, "CANARY", base64.StdEncoding.EncodeToString([]byte(canary))[:20], hex.EncodeToString([]byte("CANARY")), fmt.Sprint([]byte("CANARY"))[1:17]} {
		if strings.Contains(strings.ToLower(text), strings.ToLower(form)) {
			t.Errorf("leaked as %s in %.300q", form, text)
		}
	}
}

func TestPutAndLease(t *testing.T) {
	ctx := t.Context()
	v, sealed := newVault(t, ring(t, key(1)))
	put(t, v, "orders/db", "first")
	put(t, v, "orders/db", canary)
	put(t, v, "b", "\x00\xff\n")
	wantLease(t, v, "orders/db", canary)
	wantLease(t, v, "b", "\x00\xff\n")
	if names, err := v.List(ctx); err != nil || strings.Join(names, " ") != "b orders/db" {
		t.Errorf("%v %v", names, err)
	}
	one, err1 := sealed.Get(ctx, "b")
	put(t, v, "b", "\x00\xff\n")
	two, err2 := sealed.Get(ctx, "b")
	if err := errors.Join(err1, err2); err != nil || bytes.Equal(one, two) {
		t.Errorf("the same value seals to the same bytes: %v", err)
	}
	if err := v.Delete(ctx, "b"); err != nil {
		t.Error(err)
	}
	_, err := lease(v, "b")
	refused(t, err, fault.Unavailable, "gatehouse secrets set b")
	refused(t, v.Delete(ctx, "b"), fault.NotFound, `no secret called "b"`)
}

func TestPutRefuses(t *testing.T) {
	v, _ := newVault(t, ring(t, key(1)))
	for _, name := range []string{"", " ", "a b", "/a", ".", "-a", "a\n", "a\x00", "ü", "a:b", strings.Repeat("a", 129)} {
		refused(t, v.Put(t.Context(), name, access.NewSecret([]byte(canary))), fault.Malformed, "not a name for a secret")
		refused(t, v.Delete(t.Context(), name), fault.Malformed, "not a name for a secret")
		if name != "" {
			_, err := lease(v, name)
			refused(t, err, fault.Malformed, "not a name for a secret")
		}
	}
	refused(t, v.Put(t.Context(), "a", access.Secret{}), fault.Malformed, "empty")
	large := strings.Repeat("x", vault.MaxSecret-len(canary)) + canary
	refused(t, v.Put(t.Context(), "a", access.NewSecret([]byte(large+"x"))), fault.Malformed, "larger than 65536 bytes")
	put(t, v, "a", large)
	wantLease(t, v, "a", large)
}

// TestTampering attacks the sealed bytes as who can write to the database but has no key.
func TestTampering(t *testing.T) {
	ctx := t.Context()
	v, sealed := newVault(t, ring(t, key(1)))
	put(t, v, "a", canary)
	put(t, v, "b", "another")
	a, err1 := sealed.Get(ctx, "a")
	b, err2 := sealed.Get(ctx, "b")
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	attack := func(what string, blob []byte) {
		t.Helper()
		if err := sealed.Put(ctx, "a", blob); err != nil {
			t.Fatal(err)
		}
		if got, err := lease(v, "a"); err == nil || got != "" {
			t.Fatalf("%s: leased %q", what, got)
		} else {
			refused(t, err, fault.Unavailable, `secret "a"`)
		}
		if v.Check(ctx) == nil || v.Rotate(ctx, key(9)) == nil {
			t.Fatalf("%s: not noticed by Check or Rotate", what)
		}
	}
	attack("another name's blob", b)
	const head = 4 + 8 + 60
	attack("another name's key", append(append([]byte{}, b[:head]...), a[head:]...))
	attack("another name's data", append(append([]byte{}, a[:head]...), b[head:]...))
	attack("data in the place of the key", append(append(append([]byte{}, a[:12]...), a[head:head+28]...), a...))
	attack("twice", append(append([]byte{}, a...), a...))
	attack("a byte more", append(append([]byte{}, a...), 0))
	attack("a newer version", append([]byte("GHV2"), a[4:]...))
	attack("too large", append(a[:len(a):len(a)], make([]byte, 1<<20)...))
	for n := range len(a) {
		attack(fmt.Sprintf("cut to %d bytes", n), a[:n])
	}
	for i := range a {
		changed := append([]byte{}, a...)
		changed[i] ^= 1 << (i % 8)
		attack(fmt.Sprintf("byte %d changed", i), changed)
	}
	if err := sealed.Put(ctx, "a", a); err != nil {
		t.Fatal(err)
	}
	wantLease(t, v, "a", canary)
	if err := v.Check(ctx); err != nil {
		t.Error(err)
	}
}

func TestWrongKey(t *testing.T) {
	v, sealed := newVault(t, ring(t, key(1)))
	put(t, v, "a", canary)
	other := vault.New(sealed, ring(t, key(2), key(3)), vault.Sources{Env: noEnv}, rand.Reader)
	_, err := lease(other, "a")
	refused(t, err, fault.Unavailable, ring(t, key(1)).ID())
	refused(t, other.Check(t.Context()), fault.Unavailable, "give the right key")
	for _, n := range []int{0, 16, 31, 33} {
		if _, err := vault.NewKeyring(access.NewSecret([]byte(strings.Repeat("k", n)))); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("a key of %d bytes: %v", n, err)
		}
	}
	if _, err := vault.NewKeyring(key(1), access.NewSecret([]byte("short"))); err == nil {
		t.Error("a short old key was taken")
	}
}

func TestRotate(t *testing.T) {
	ctx := t.Context()
	v, sealed := newVault(t, ring(t, key(1)))
	for i := range 20 {
		put(t, v, fmt.Sprintf("s%d", i), fmt.Sprintf("%s-%d", canary, i))
	}
	if err := v.Rotate(ctx, key(2)); err != nil {
		t.Fatal(err)
	}
	fresh := vault.New(sealed, ring(t, key(2)), vault.Sources{Env: noEnv}, rand.Reader)
	old := vault.New(sealed, ring(t, key(1)), vault.Sources{Env: noEnv}, rand.Reader)
	for i := range 20 {
		name := fmt.Sprintf("s%d", i)
		wantLease(t, v, name, fmt.Sprintf("%s-%d", canary, i))
		wantLease(t, fresh, name, fmt.Sprintf("%s-%d", canary, i))
		if _, err := lease(old, name); err == nil {
			t.Errorf("the old key still opens %s", name)
		}
	}
	put(t, v, "later", "x")
	wantLease(t, fresh, "later", "x")
	if err := v.Rotate(ctx, key(2)); err != nil {
		t.Errorf("rotating to the same key: %v", err)
	}
	refused(t, v.Rotate(ctx, access.NewSecret([]byte("short"))), fault.Unavailable, "32 bytes")
}

// TestRotateStops: a rotation that cannot open one secret changes none, and all others can be leased as before.
func TestRotateStops(t *testing.T) {
	ctx := t.Context()
	v, sealed := newVault(t, ring(t, key(1)))
	put(t, v, "a", "1")
	put(t, v, "z", "2")
	if err := sealed.Put(ctx, "m", []byte("damaged")); err != nil {
		t.Fatal(err)
	}
	before, err := sealed.Get(ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	refused(t, v.Rotate(ctx, key(2)), fault.Unavailable, "not sealed under the new key")
	if after, err := sealed.Get(ctx, "a"); err != nil || !bytes.Equal(before, after) {
		t.Errorf("half a rotation stayed: %v", err)
	}
	wantLease(t, v, "a", "1")
	wantLease(t, v, "z", "2")
	put(t, v, "a", "3")
	wantLease(t, vault.New(sealed, ring(t, key(2)), vault.Sources{Env: noEnv}, rand.Reader), "a", "3")
}

// TestRotateUnderLoad: leases and puts go on while keys are rotated, and no value is lost.
func TestRotateUnderLoad(t *testing.T) {
	ctx := t.Context()
	v, sealed := newVault(t, ring(t, key(1)))
	put(t, v, "fixed", canary)
	var wg sync.WaitGroup
	for w := range 4 {
		name := fmt.Sprintf("w%d", w)
		wg.Go(func() {
			for i := range 20 {
				put(t, v, name, fmt.Sprint(i))
				wantLease(t, v, name, fmt.Sprint(i))
				wantLease(t, v, "fixed", canary)
			}
		})
	}
	for k := byte(2); k < 8; k++ {
		if err := v.Rotate(ctx, key(k)); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	if err := v.Rotate(ctx, key(9)); err != nil {
		t.Fatal(err)
	}
	last := vault.New(sealed, ring(t, key(9)), vault.Sources{Env: noEnv}, rand.Reader)
	if err := last.Check(ctx); err != nil {
		t.Fatal(err)
	}
	for w := range 4 {
		wantLease(t, last, fmt.Sprintf("w%d", w), "19")
	}
}

func TestLeaseReferences(t *testing.T) {
	dir := t.TempDir()
	state := filepath.Join(dir, "state")
	write := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600), os.Chmod(path, mode))
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	own := write("state/keys/vault.key", canary, 0o600)
	fifo, link, sneaky := filepath.Join(dir, "fifo"), filepath.Join(dir, "link"), filepath.Join(dir, "sneaky")
	good := write("good", canary+"\n", 0o640)
	if err := errors.Join(syscall.Mkfifo(fifo, 0o600), os.Symlink(good, link), os.Symlink(state, sneaky)); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"PASSWORD": canary, "EMPTY": "", "GATEHOUSE_VAULT_KEY": canary, "LARGE": strings.Repeat("x", vault.MaxSecret+1)}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	v := vault.New(openStore(t, filepath.Join(dir, "db", "state.db")).Secrets(), ring(t, key(1)), vault.Sources{Env: lookup, Private: state}, rand.Reader)
	for name, c := range map[string]struct {
		c    access.Credential
		want string // the credential, or words of the refusal
		ok   bool
	}{
		"nothing":               {access.Credential{User: "u"}, "", true},
		"variable":              {access.Credential{Env: "PASSWORD"}, canary, true},
		"unset":                 {access.Credential{Env: "NONE"}, "NONE of the credential is not set", false},
		"empty variable":        {access.Credential{Env: "EMPTY"}, "is not set", false},
		"large variable":        {access.Credential{Env: "LARGE"}, "larger than", false},
		"the gateway's own":     {access.Credential{Env: "GATEHOUSE_VAULT_KEY"}, "is the gateway's own", false},
		"file":                  {access.Credential{File: good}, canary, true},
		"link to a file":        {access.Credential{File: link}, canary, true},
		"windows line":          {access.Credential{File: write("crlf", canary+"\r\n", 0o400)}, canary, true},
		"spaces belong to it":   {access.Credential{File: write("spaces", " "+canary+" \n\n", 0o400)}, " " + canary + " \n", true},
		"everybody's":           {access.Credential{File: write("open", canary, 0o644)}, "chmod o-rwx", false},
		"writable by everybody": {access.Credential{File: write("open2", canary, 0o602)}, "chmod o-rwx", false},
		"no file":               {access.Credential{File: filepath.Join(dir, "none")}, "cannot be read", false},
		"a directory":           {access.Credential{File: dir}, "not a regular file", false},
		"a pipe":                {access.Credential{File: fifo}, "not a regular file", false},
		"an empty file":         {access.Credential{File: write("empty", "\n", 0o600)}, "must hold 1 to", false},
		"a large file":          {access.Credential{File: write("large", strings.Repeat("x", vault.MaxSecret+1), 0o600)}, "must hold 1 to", false},
		"the vault's key":       {access.Credential{File: own}, "state directory", false},
		"by a detour":           {access.Credential{File: filepath.Join(dir, "x", "..", "state", "keys", "vault.key")}, "state directory", false},
		"by a link":             {access.Credential{File: filepath.Join(sneaky, "keys", "vault.key")}, "state directory", false},
		"two sources":           {access.Credential{Env: "PASSWORD", File: good}, "more than one", false},
		"three sources":         {access.Credential{Env: "PASSWORD", File: good, Secret: "a"}, "more than one", false},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "by a detour" {
				write("x/y", "", 0o600)
			}
			s, err := v.Lease(t.Context(), c.c)
			if !c.ok {
				refused(t, err, fault.Unavailable, c.want)
			} else if err != nil || string(s.Reveal()) != c.want {
				t.Errorf("got %q, %v", s.Reveal(), err)
			}
		})
	}
}

// TestNothingLeaks puts a canary into the vault and looks for it wherever something is printed or written.
func TestNothingLeaks(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state.db")
	s := openStore(t, path)
	master := access.NewSecret([]byte(("master-CANARY-" + canary)[:32]))
	r := ring(t, master)
	v := vault.New(s.Secrets(), r, vault.Sources{Env: noEnv}, rand.Reader)
	for i := range 50 {
		put(t, v, fmt.Sprintf("s%d", i), canary)
	}
	leased, err := v.Lease(t.Context(), access.Credential{Secret: "s1"})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	// %p is left out: under it fmt prints any struct without asking, and go vet refuses the call.
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%c", "%U", "%T", "%o", "%b"} {
		for _, x := range []any{v, *r, r, leased, &leased, []access.Secret{leased}, map[string]any{"k": leased}, struct{ S access.Secret }{leased}} {
			fmt.Fprintf(&out, verb, x)
		}
	}
	for _, x := range []any{r, leased, struct{ S access.Secret }{leased}, v} {
		b, err := json.Marshal(x)
		if err == nil {
			out.Write(b)
		}
	}
	for _, h := range []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)} {
		slog.New(h).Info("m", "vault", v, "ring", r, "secret", leased, "list", []access.Secret{leased})
	}
	noCanary(t, out.String())
	backup := filepath.Join(dir, "backup.db")
	if err := s.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(v.Rotate(t.Context(), key(7)), v.Delete(t.Context(), "s1")); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) < 3 { // the database, its journal, the backup
		t.Fatalf("%v %v", files, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte("CANARY")) || bytes.Contains(b, []byte(hex.EncodeToString([]byte("CANARY")))) || bytes.Contains(b, []byte(base64.StdEncoding.EncodeToString([]byte(canary))[:20])) {
			t.Errorf("%s holds the secret", f)
		}
	}
}

// memory is a store in memory, so that the property below can try many values.
type memory map[string][]byte

func (m memory) Get(_ context.Context, name string) ([]byte, error) {
	if b, ok := m[name]; ok {
		return b, nil
	}
	return nil, fault.New(fault.NotFound, "memory", "none")
}
func (m memory) Put(_ context.Context, name string, b []byte) error { m[name] = b; return nil }
func (m memory) Delete(_ context.Context, name string) error        { delete(m, name); return nil }
func (m memory) Names(context.Context) ([]string, error)            { return nil, nil }
func (m memory) Rewrite(_ context.Context, f func(string, []byte) ([]byte, error)) error {
	for name, b := range m {
		fresh, err := f(name, b)
		if err != nil {
			return err
		}
		m[name] = fresh
	}
	return nil
}

// TestRoundTrip: every value comes back under its name, whatever keys were rotated meanwhile, and under no other name.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := memory{}
		v := vault.New(m, ring(t, key(1)), vault.Sources{Env: noEnv}, rand.Reader)
		name := rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9._/-]{0,20}`)
		a, b := name.Draw(rt, "a"), name.Draw(rt, "b")
		value := rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(rt, "value")
		put(t, v, a, string(value))
		for _, k := range rapid.SliceOfN(rapid.ByteRange(1, 5), 0, 3).Draw(rt, "rotations") {
			if err := v.Rotate(t.Context(), key(k)); err != nil {
				rt.Fatal(err)
			}
		}
		if got, err := lease(v, a); err != nil || got != string(value) {
			rt.Fatalf("got %q, %v", got, err)
		}
		if m[b] = m[a]; a != b {
			if got, err := lease(v, b); err == nil {
				rt.Fatalf("%q leased under another name", got)
			}
		}
	})
}

// FuzzOpen: no bytes in the store but those that were sealed for this name give a secret, or a panic.
func FuzzOpen(f *testing.F) {
	m := memory{}
	v := vault.New(m, ring(f, key(1)), vault.Sources{Env: noEnv}, rand.Reader)
	put(f, v, "a", canary)
	good := m["a"]
	f.Add(good)
	f.Add(good[:72])
	f.Add([]byte("GHV1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := lease(vault.New(memory{"a": b}, ring(t, key(1)), vault.Sources{Env: noEnv}, rand.Reader), "a")
		if (err == nil) != (got == canary) || (err != nil && fault.KindOf(err) != fault.Unavailable) {
			t.Fatalf("%q, %v", got, err)
		}
	})
}
