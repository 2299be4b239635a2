package verify_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"gatehouse/internal/audit/verify"
	"gatehouse/internal/fault"
)

// plainRoot is RFC 6962, 2.1, as it is written there.
func plainRoot(leaves [][]byte) []byte {
	if len(leaves) == 0 {
		sum := sha256.Sum256(nil)
		return sum[:]
	}
	if len(leaves) == 1 {
		sum := sha256.Sum256(append([]byte{0}, leaves[0]...))
		return sum[:]
	}
	k := 1
	for 2*k < len(leaves) {
		k *= 2
	}
	sum := sha256.Sum256(append(append([]byte{1}, plainRoot(leaves[:k])...), plainRoot(leaves[k:])...))
	return sum[:]
}

// TestMessages: the root of digests is that of the log's reference, in this order only.
func TestMessages(t *testing.T) {
	var list strings.Builder
	var leaves [][]byte
	for n := range 300 {
		count, root, err := verify.Messages(strings.NewReader(list.String()))
		if want := hex.EncodeToString(plainRoot(leaves)); err != nil || count != uint64(n) || root != want {
			t.Fatalf("%d digests: %d %s, %v; want %s", n, count, root, err, want)
		}
		sum := sha256.Sum256([]byte{byte(n), byte(n >> 8)})
		leaves = append(leaves, sum[:])
		fmt.Fprintf(&list, "%x\n", sum)
	}
	digests := map[string]string{}
	for _, m := range []string{"a", "b", "c"} {
		digests[m] = fmt.Sprintf("%x", sha256.Sum256([]byte(m)))
	}
	const want = "cac3d448d4e20a2ad5eae1f500e63c2a7f9217cd14572ba7fd22e26dc1ec2648"
	if _, root, err := verify.Messages(strings.NewReader(digests["a"] + "\r\n" + digests["b"] + "\n " + strings.ToUpper(digests["c"]))); err != nil || root != want {
		t.Errorf("%s, %v", root, err)
	}
	if _, root, _ := verify.Messages(strings.NewReader(digests["b"] + "\n" + digests["a"] + "\n" + digests["c"])); root == want {
		t.Error("another order has the same root")
	}
}

// TestMessagesRefuses: whatever is no list of digests is none, and the line is named.
func TestMessagesRefuses(t *testing.T) {
	good := strings.Repeat("ab", 32) + "\n"
	for _, list := range []string{"\n", good + "\n", good + "x\n", good + good[:63] + "\n", good + good[:62] + "\n", good + "ab" + good, good + strings.Repeat("a", 5000)} {
		if _, _, err := verify.Messages(strings.NewReader(list)); err == nil {
			t.Errorf("%.80q is a list of digests", list)
		}
	}
	if _, _, err := verify.Messages(strings.NewReader(good + "x\n")); fault.KindOf(err) != fault.Malformed || !strings.Contains(err.Error(), "line 2") {
		t.Error(err)
	}
	if _, _, err := verify.Messages(iotest.ErrReader(errors.New("broken"))); fault.KindOf(err) != fault.Unavailable {
		t.Error(err)
	}
}
