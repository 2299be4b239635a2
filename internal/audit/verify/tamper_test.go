package verify_test

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/audit"
	"gatehouse/internal/audit/verify"
)

// tamperLog makes a log of about 300 signed records in several segments, with unsigned ones behind them.
func tamperLog(t *testing.T, unsigned int) (dir string, k pair, outside []byte) {
	t.Helper()
	dir, k = filepath.Join(t.TempDir(), "audit"), newPair(t, "k1")
	o := options(dir, k)
	l := openLog(t, o)
	for i := range 5 {
		session(t, l, fmt.Sprint("s", i), 29)
		outside = sign(t, l)
	}
	if unsigned > 0 {
		session(t, l, "tail", unsigned)
		seq := l.Status().Records
		if err := l.Barrier(seq); err != nil {
			t.Fatal(err)
		}
	} else {
		closeLog(t, l)
	}
	return copyDir(t, dir), k, outside
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != "lock" {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// stride is how many positions a test passes over, outside the places where it looks at every byte. GATEHOUSE_LONG=1
// looks at every byte everywhere.
func stride(n int) int {
	if os.Getenv("GATEHOUSE_LONG") != "" {
		return 1
	}
	return n
}

// TestTamperEveryByte flips bytes of every file of a signed log: all bytes of small files, of the first and last
// records and of the newest checkpoints, and a sample of the rest; with -short every seventh of them.
func TestTamperEveryByte(t *testing.T) {
	dir, k, _ := tamperLog(t, 0)
	tried := 0
	for _, path := range files(t, dir) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for at := range data {
			if len(data) > 1000 && at > 150 && at < len(data)-150 && at%stride(997) != 0 || testing.Short() && at%7 != 0 {
				continue
			}
			tried++
			was := data[at]
			data[at] ^= byte(1 << (at % 8))
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			if r := check(t, dir, verify.Options{}, k.public); r.OK {
				t.Errorf("a flipped bit in byte %d of %s was not found", at, path[len(dir):])
			}
			data[at] = was
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if r := check(t, dir, verify.Options{}, k.public); !r.OK {
		t.Fatal("the test did not put back what it changed: ", r)
	}
	t.Log(tried, "flips")
}

// frames splits a segment into its header and frames.
func frames(t *testing.T, path string) (head []byte, out [][]byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := int(binary.BigEndian.Uint16(data[10:]))
	head, data = data[:n], data[n:]
	for len(data) > 0 {
		n := 8 + int(binary.BigEndian.Uint32(data))
		out = append(out, data[:n])
		data = data[n:]
	}
	return head, out
}

// reframe is what an attacker does who knows the format: it numbers frames anew from first and mends their CRCs.
func reframe(head []byte, frames [][]byte, first uint64) []byte {
	out := slices.Clone(head)
	for i, f := range frames {
		f = slices.Clone(f)
		binary.BigEndian.PutUint64(f[9:], first+uint64(i))
		out = append(out, mend(f)...)
	}
	return out
}

func mend(f []byte) []byte {
	table := crc32.MakeTable(crc32.Castagnoli)
	binary.BigEndian.PutUint32(f[4:], crc32.Update(crc32.Checksum(f[:4], table), table, f[8:]))
	return f
}

// TestTamperWithRecords drops, doubles, swaps, inserts and rewrites single records, with and without numbering the
// others anew, CRCs mended. Where the records' number is unchanged the report names the exact record.
func TestTamperWithRecords(t *testing.T) {
	dir, k, _ := tamperLog(t, 0)
	segments, err := filepath.Glob(filepath.Join(dir, "epoch-000001", "segments", "*.seg"))
	if err != nil || len(segments) < 3 {
		t.Fatal(len(segments), err)
	}
	for si, path := range segments {
		head, all := frames(t, path)
		first := binary.BigEndian.Uint64(all[0][9:])
		for i := 0; i < len(all)-1; i += 1 + stride(40) {
			seq := first + uint64(i)
			for name, spoil := range map[string]func([][]byte) [][]byte{
				"drop":   func(f [][]byte) [][]byte { return slices.Delete(f, i, i+1) },
				"double": func(f [][]byte) [][]byte { return slices.Insert(f, i, f[i]) },
				"swap":   func(f [][]byte) [][]byte { f[i], f[i+1] = f[i+1], f[i]; return f },
				"insert": func(f [][]byte) [][]byte { return slices.Insert(f, i, slices.Clone(f[len(f)-1])) },
				"rewrite": func(f [][]byte) [][]byte {
					f[i] = slices.Clone(f[i])
					f[i][len(f[i])-3] ^= 1
					return f
				},
				"resalt": func(f [][]byte) [][]byte {
					f[i] = slices.Clone(f[i])
					f[i][20] ^= 1
					return f
				},
				"erase": func(f [][]byte) [][]byte {
					f[i] = append(append([]byte{0, 0, 0, 41, 0, 0, 0, 0, 2}, f[i][9:17]...), make([]byte, 32)...)
					return f
				},
			} {
				spoilt := spoil(slices.Clone(all))
				if slices.EqualFunc(spoilt, all, slices.Equal) {
					continue // inserting the last record before itself
				}
				data := slices.Clone(head)
				for _, f := range spoilt {
					data = append(data, mend(slices.Clone(f))...)
				}
				for how, data := range map[string][]byte{"as is": data, "numbered": reframe(head, spoilt, first)} {
					write(t, path, data)
					r := check(t, dir, verify.Options{}, k.public)
					switch {
					case r.OK:
						t.Errorf("segment %d: %s of record %d, %s: not found", si, name, seq, how)
					case r.Fault.Seq == 0 || r.Fault.Seq > seq+1:
						t.Errorf("segment %d: %s of record %d, %s: found at %v", si, name, seq, how, r.Fault)
					case (name == "rewrite" || name == "resalt" || name == "erase") && r.Fault.Seq != seq && !strings.Contains(r.Fault.What, "JSON"):
						t.Errorf("segment %d: %s of record %d, %s: found at %v", si, name, seq, how, r.Fault)
					}
				}
			}
		}
		write(t, path, reframe(head, all, first))
	}
	if r := check(t, dir, verify.Options{}, k.public); !r.OK {
		t.Fatal("the test did not put back what it changed: ", r)
	}
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestTruncateAnywhere cuts the last segment at every byte and drops whole segments: a cut into what is signed is
// found, a cut behind it is reported as the tail that it is.
func TestTruncateAnywhere(t *testing.T) {
	dir, k, _ := tamperLog(t, 5)
	whole := check(t, dir, verify.Options{}, k.public)
	if !whole.OK || whole.Unsigned == 0 {
		t.Fatal(whole)
	}
	segments, err := filepath.Glob(filepath.Join(dir, "epoch-000001", "segments", "*.seg"))
	if err != nil {
		t.Fatal(err)
	}
	last := segments[len(segments)-1]
	data, err := os.ReadFile(last)
	if err != nil {
		t.Fatal(err)
	}
	var faults, torn, clean int
	for n := range data {
		if n < len(data)-400 && n%stride(199) != 0 {
			continue
		}
		write(t, last, data[:n])
		r := check(t, dir, verify.Options{}, k.public)
		switch {
		case !r.OK:
			faults++
		case len(r.Torn) == 1:
			torn++
		case r.Unsigned < whole.Unsigned:
			clean++ // at a record's end, behind everything signed
		default:
			t.Errorf("cut at %d of %d: not seen", n, len(data))
		}
		if r.OK && r.Signed != whole.Signed {
			t.Errorf("cut at %d: %d signed records, want %d", n, r.Signed, whole.Signed)
		}
	}
	if faults == 0 || torn == 0 || clean == 0 {
		t.Errorf("%d faults, %d torn, %d clean cuts: the test does not reach all three", faults, torn, clean)
	}
	write(t, last, data)
	for _, path := range segments[:len(segments)-1] {
		if err := os.Rename(path, path+".gone"); err != nil {
			t.Fatal(err)
		}
		if r := check(t, dir, verify.Options{}, k.public); r.OK {
			t.Errorf("%s is missing and nobody saw it", filepath.Base(path))
		}
		if err := os.Rename(path+".gone", path); err != nil {
			t.Fatal(err)
		}
	}
}

// TestUnsignedTailFlips: in the tail that nobody has signed, a damaged frame is reported as torn; a record that was
// rewritten with care is what "unsigned" warns of.
func TestUnsignedTailFlips(t *testing.T) {
	dir, k, _ := tamperLog(t, 5)
	whole := check(t, dir, verify.Options{}, k.public)
	segments, _ := filepath.Glob(filepath.Join(dir, "epoch-000001", "segments", "*.seg"))
	last := segments[len(segments)-1]
	data, err := os.ReadFile(last)
	if err != nil {
		t.Fatal(err)
	}
	for at := range data {
		if at < len(data)-400 && at%stride(199) != 0 {
			continue
		}
		data[at] ^= 1
		write(t, last, data)
		data[at] ^= 1
		if r := check(t, dir, verify.Options{}, k.public); r.OK && len(r.Torn) == 0 {
			t.Errorf("byte %d: not seen (%d unsigned of %d)", at, r.Unsigned, whole.Unsigned)
		}
	}
}

// TestRollBackAndFork: an older copy of the whole directory, and a second history by the key's holder, verify by
// themselves; a checkpoint kept elsewhere tells.
func TestRollBackAndFork(t *testing.T) {
	dir, k := filepath.Join(t.TempDir(), "audit"), newPair(t, "k1")
	l := openLog(t, options(dir, k))
	session(t, l, "a", 10)
	sign(t, l)
	older := copyDir(t, dir)
	session(t, l, "b", 10)
	outside := sign(t, l)
	closeLog(t, l)

	forked := copyDir(t, older)
	f := openLog(t, options(forked, k))
	session(t, f, "not b", 10)
	session(t, f, "c", 10)
	closeLog(t, f)

	other := filepath.Join(t.TempDir(), "other")
	closeLog(t, openLog(t, options(other, k)))

	for name, c := range map[string]struct{ dir, says string }{
		"rolled back": {older, "roll-back"},
		"forked":      {forked, "second history"},
		"another log": {other, "another log"},
	} {
		t.Run(name, func(t *testing.T) {
			if r := check(t, c.dir, verify.Options{}, k.public); !r.OK || !strings.Contains(r.String(), "none was given") {
				t.Fatalf("by itself: %s", r)
			}
			if r := check(t, c.dir, verify.Options{Since: outside}, k.public); r.OK || !strings.Contains(r.Fault.What, c.says) {
				t.Errorf("against the outside checkpoint: %s", r)
			}
		})
	}
	forged := []byte(strings.Replace(string(outside), "\n44\n", "\n43\n", 1))
	if r := check(t, dir, verify.Options{Since: forged}, k.public); r.OK {
		t.Error("a forged outside checkpoint was believed")
	}
}

// TestStolenHistory: whoever rewrites records and all derived files, but cannot sign, is found; and the writer refuses
// to go on from it, so that it never signs for it.
func TestStolenHistory(t *testing.T) {
	dir, k, _ := tamperLog(t, 0)
	thief := newPair(t, "k1")
	evil := filepath.Join(t.TempDir(), "evil")
	l := openLog(t, options(evil, thief))
	session(t, l, "s0", 29)
	sign(t, l)
	closeLog(t, l)
	if r := check(t, evil, verify.Options{}, k.public); r.OK {
		t.Error("a log by another key of the same name was believed")
	}
	if _, err := audit.Open(options(evil, k)); err == nil {
		t.Error("the writer went on from a history that its key never signed")
	}
	if _, err := audit.Open(options(dir, thief)); err == nil {
		t.Error("another key went on with the log")
	}
}
