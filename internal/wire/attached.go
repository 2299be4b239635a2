package wire

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
)

// Stamps tell whether files have changed.
type Stamps []os.FileInfo // nil where a file cannot be read

// StampsOf looks at files.
func StampsOf(files []string) Stamps {
	out := make(Stamps, len(files))
	for i, name := range files {
		out[i] = stampOf(name)
	}
	return out
}

func stampOf(name string) os.FileInfo {
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() { // opening a pipe would wait for its writer
		return nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	if info, err = f.Stat(); err != nil {
		return nil
	}
	return info
}

// Same reports whether the files are those that they were: the same file, of the same size, last written at the same time.
func (s Stamps) Same(o Stamps) bool {
	if len(s) != len(o) {
		return false
	}
	for i, a := range s {
		b := o[i]
		if a == nil || b == nil {
			if a != b {
				return false
			}
			continue
		}
		if !os.SameFile(a, b) || a.Size() != b.Size() || !a.ModTime().Equal(b.ModTime()) {
			return false
		}
	}
	return true
}

// DigestOf is a digest of the names of actions, in their order; "" where there are none.
func DigestOf(verbs []Verb) string {
	if len(verbs) == 0 {
		return ""
	}
	h := sha256.New()
	for _, v := range verbs {
		_, _ = h.Write([]byte(v.Name + "\n"))
	}
	return hex.EncodeToString(h.Sum(nil))
}
