package keys

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"gatehouse/internal/fault"
)

// Signing is an Ed25519 signing key in the text form of golang.org/x/mod/sumdb/note (C2SP signed-note).
type Signing struct {
	Signer   note.Signer
	Verifier string // the public key, as note.NewVerifier reads it: name+hash+key
}

// LoadOrCreateSigning returns the signing key in the file path, and makes one called name where the file does not
// exist. The public key is kept beside it with the suffix ".pub" for people and verifiers; it is written again where it
// is missing or differs.
func LoadOrCreateSigning(path, name string, random io.Reader) (Signing, error) {
	b, err := loadOrCreate(path, func() ([]byte, error) { return newSigningText(name, random) })
	if err != nil {
		return Signing{}, err
	}
	return publish(path, b)
}

// RotateSigning replaces the signing key in path with a new one of the same name, and keeps the old one as path.N.
// The audit log must record the new public key, signed with the old key, before anything is signed with the new one.
func RotateSigning(path string, random io.Reader) (old, fresh Signing, err error) {
	b, err := readPrivate(path)
	if err != nil {
		return old, fresh, err
	}
	if old, err = parseSigning(path, b); err != nil {
		return old, fresh, err
	}
	text, err := newSigningText(old.Signer.Name(), random)
	if err != nil {
		return old, fresh, err
	}
	if err := rotate(path, text); err != nil {
		return old, fresh, err
	}
	fresh, err = publish(path, text)
	return old, fresh, err
}

// SigningVersions returns the public keys of path and of those it replaced, newest first.
func SigningVersions(path string) ([]string, error) {
	numbers, err := oldNumbers(path)
	if err != nil {
		return nil, err
	}
	paths := []string{path}
	for _, n := range numbers {
		paths = append(paths, path+"."+strconv.Itoa(n))
	}
	var all []string
	for _, p := range paths {
		b, err := readPrivate(p)
		if err != nil {
			return nil, err
		}
		s, err := parseSigning(p, b)
		if err != nil {
			return nil, err
		}
		if len(all) == 0 || all[0] != s.Verifier {
			all = append(all, s.Verifier)
		}
	}
	return all, nil
}

// publish parses the key and makes sure that the public one lies beside it, after those that it replaced: a verifier that
// reads the file can check what any of them signed.
func publish(path string, b []byte) (Signing, error) {
	s, err := parseSigning(path, b)
	if err != nil {
		return Signing{}, err
	}
	all, err := SigningVersions(path)
	if err != nil {
		return Signing{}, err
	}
	slices.Reverse(all)
	text := strings.Join(all, "\n") + "\n"
	public := PublicPath(path)
	if have, err := os.ReadFile(public); err == nil && string(have) == text {
		return s, nil
	}
	if err := writePublic(public, []byte(text)); err != nil {
		return Signing{}, err
	}
	return s, nil
}

// PublicPath is where the public part of the signing key in path lies.
func PublicPath(path string) string { return strings.TrimSuffix(path, ".key") + ".pub" }

func newSigningText(name string, random io.Reader) ([]byte, error) {
	skey, _, err := note.GenerateKey(random, name)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "keys.newSigningText", err, "cannot make a signing key")
	}
	return []byte(skey + "\n"), nil
}

func parseSigning(path string, b []byte) (Signing, error) {
	skey := strings.TrimRight(string(b), "\r\n")
	signer, err := note.NewSigner(skey)
	if err != nil {
		return Signing{}, fault.New(fault.Unavailable, "keys.parseSigning", "%s does not hold a signing key: restore it from a backup", path)
	}
	public, err := verifierOf(skey)
	if err != nil {
		return Signing{}, fault.New(fault.Unavailable, "keys.parseSigning", "%s does not hold an Ed25519 signing key: restore it from a backup", path)
	}
	return Signing{Signer: signer, Verifier: public}, nil
}

// String names the key by its public part, so that no verb prints the signer.
func (s Signing) String() string { return s.Verifier }

// verifierOf derives the public key's text from the private one's.
func verifierOf(skey string) (string, error) {
	fields := strings.SplitN(skey, "+", 5) // PRIVATE+KEY+name+hash+base64(algorithm, seed)
	if len(fields) != 5 {
		return "", errNotEd25519
	}
	raw, err := base64.StdEncoding.DecodeString(fields[4])
	if err != nil || len(raw) != 1+ed25519.SeedSize {
		return "", errNotEd25519
	}
	defer clear(raw)
	public, ok := ed25519.NewKeyFromSeed(raw[1:]).Public().(ed25519.PublicKey)
	if !ok {
		return "", errNotEd25519
	}
	return note.NewEd25519VerifierKey(fields[2], public)
}

var errNotEd25519 = errors.New("not an Ed25519 key")
