package audit_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"gatehouse/internal/audit"
	"gatehouse/internal/audit/verify"
)

// The environment of a child that writes until it is killed.
const (
	childDir = "GATEHOUSE_AUDIT_CHILD_DIR"
	childKey = "GATEHOUSE_AUDIT_CHILD_KEY"
)

func TestMain(m *testing.M) {
	if os.Getenv(childDir) != "" {
		if err := writeUntilKilled(); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// writeUntilKilled appends from four callers, and prints each sequence once Barrier has returned. Each line is one
// write to a pipe, so that what the parent reads was acknowledged.
func writeUntilKilled() error {
	signer, err := note.NewSigner(os.Getenv(childKey))
	if err != nil {
		return err
	}
	l, err := audit.Open(audit.Options{
		Dir: os.Getenv(childDir), Signer: signer, Node: "n1", Clock: time.Now, Rand: rand.Reader,
		SegmentBytes: 64 << 10, CheckpointEvery: 3 * time.Millisecond, Window: 2 * time.Millisecond,
	})
	if err != nil {
		return err
	}
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			for n := uint64(1); ; n++ {
				e := act(n)
				e.Session = fmt.Sprint(os.Getpid(), "-", i)
				seq, err := l.Append(e)
				if err == nil {
					err = l.Barrier(seq)
				}
				if err != nil {
					fmt.Println("error", err)
					return
				}
				fmt.Println(seq)
			}
		})
	}
	group.Wait()
	return nil
}

// TestKillNineLosesNothingAcknowledged kills a process that writes, at random moments, again and again over one log:
// every record that Barrier has acknowledged is there, and the log verifies as it lies and after it was opened.
// GATEHOUSE_LONG=1 makes the 20 rounds 200, over ten logs; -short makes them 5.
func TestKillNineLosesNothingAcknowledged(t *testing.T) {
	logs, rounds := 1, 20
	if os.Getenv("GATEHOUSE_LONG") != "" {
		logs = 10
	} else if testing.Short() {
		rounds = 5
	}
	for range logs {
		killAgainAndAgain(t, rounds)
	}
}

func killAgainAndAgain(t *testing.T, rounds int) {
	t.Helper()
	skey, public, err := note.GenerateKey(rand.Reader, "k1")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "audit")
	var last, total uint64
	for round := range rounds {
		acked := killedWriter(t, dir, skey)
		for _, seq := range acked {
			last = max(last, seq)
		}
		total += uint64(len(acked))
		r, err := verify.Dir(dir, []string{public}, verify.Options{})
		if err != nil || !r.OK {
			t.Fatalf("round %d: %v %s", round, err, r)
		}
		if n := r.Epochs[len(r.Epochs)-1].Last; n < last {
			t.Fatalf("round %d: record %d was acknowledged and the log ends at %d", round, last, n)
		}
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	l, err := audit.Open(audit.Options{Dir: dir, Signer: signer, Node: "n1", Clock: time.Now, Rand: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	r, err := verify.Dir(dir, []string{public}, verify.Options{})
	if err != nil || !r.OK || r.Unsigned != 0 || len(r.Torn) != 0 {
		t.Fatalf("at the end: %v %s", err, r)
	}
	t.Logf("%d rounds, %d records acknowledged of %d", rounds, total, r.Records)
}

// killedWriter runs a child, kills it after a random number of acknowledgements, and returns them all.
func killedWriter(t *testing.T, dir, skey string) []uint64 {
	t.Helper()
	n, err := rand.Int(rand.Reader, big.NewInt(4000))
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childDir+"="+dir, childKey+"="+skey)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var acked []uint64
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "error") {
			t.Error(lines.Text())
			break
		}
		seq, err := strconv.ParseUint(lines.Text(), 10, 64)
		if err != nil {
			break // the line that the kill cut
		}
		acked = append(acked, seq)
		if int64(len(acked)) == n.Int64()+1 {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = child.Process.Kill()
	_ = child.Wait() // "signal: killed"
	return acked
}
