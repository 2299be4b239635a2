package verify_test

import (
	"context"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/audit/verify"
)

func TestAnHonestLogVerifies(t *testing.T) {
	dir, k := filepath.Join(t.TempDir(), "audit"), newPair(t, "k1")
	var outside []byte
	for round := range 4 {
		l := openLog(t, options(dir, k))
		for i := range 5 {
			session(t, l, string(rune('a'+round))+string(rune('a'+i)), 40)
			cp := sign(t, l)
			if outside == nil {
				outside = cp
			}
		}
		closeLog(t, l)
	}
	r := check(t, dir, verify.Options{Since: outside, Now: time.Now()}, k.public)
	if !r.OK || r.Records != 4*5*82 || r.Signed != r.Records || r.Unsigned != 0 || r.Intents != 800 || r.Outcomes != 800 || r.Unknown != 0 || r.Outside == nil {
		t.Fatalf("%s\n%+v", r, r)
	}
	if len(r.Notes) != 0 || len(r.Torn) != 0 {
		t.Errorf("an honest log has notes %q, torn %v", r.Notes, r.Torn)
	}
	t.Log(r)
}

func TestRotationIsFollowed(t *testing.T) {
	dir, k1, k2, k3 := filepath.Join(t.TempDir(), "audit"), newPair(t, "k1"), newPair(t, "k2"), newPair(t, "k3")
	o := options(dir, k1)
	l := openLog(t, o)
	session(t, l, "a", 10)
	if err := l.Rotate(context.Background(), k2.signer, k2.public); err != nil {
		t.Fatal(err)
	}
	session(t, l, "b", 10)
	closeLog(t, l)
	if _, err := audit.Open(o); err == nil || !strings.Contains(err.Error(), k1.signer.Name()) {
		t.Fatalf("the retired key opened the log: %v", err)
	}
	o.Signer = k2.signer
	l = openLog(t, o)
	if err := l.Rotate(context.Background(), k3.signer, k3.public); err != nil {
		t.Fatal(err)
	}
	closeLog(t, l) // nothing new: the handover is the newest checkpoint
	if _, err := audit.Open(o); err == nil {
		t.Fatal("the key that handed over opened the log")
	}
	o.Signer = k3.signer
	l = openLog(t, o)
	session(t, l, "c", 10)
	closeLog(t, l)
	r := check(t, dir, verify.Options{}, k1.public)
	if !r.OK || len(r.Keys) != 3 || r.Unsigned != 0 {
		t.Fatalf("%s\n%+v", r, r)
	}
	if r := check(t, dir, verify.Options{}, k3.public); r.OK || !strings.Contains(r.Fault.What, "not given") {
		t.Fatalf("with the newest key alone: %s", r)
	}
	if r := check(t, dir, verify.Options{}, newPair(t, "k1").public); r.OK {
		t.Fatal("a foreign key of the same name verified the log")
	}
}

func TestEpochsFollowEachOther(t *testing.T) {
	dir, k := filepath.Join(t.TempDir(), "audit"), newPair(t, "k1")
	l := openLog(t, options(dir, k))
	session(t, l, "a", 10)
	sign(t, l)
	backup := copyDir(t, dir)
	session(t, l, "b", 10)
	last := sign(t, l)
	closeLog(t, l)

	for name, previous := range map[string][]byte{"newest known": last, "its own": nil} {
		t.Run(name, func(t *testing.T) {
			restored := copyDir(t, backup)
			if err := audit.BeginEpoch(restored, previous); err != nil {
				t.Fatal(err)
			}
			if r := check(t, restored, verify.Options{}, k.public); !r.OK {
				t.Fatalf("begun, not opened: %s", r)
			}
			l := openLog(t, options(restored, k))
			session(t, l, "c", 10)
			closeLog(t, l)
			r := check(t, restored, verify.Options{}, k.public)
			if !r.OK || len(r.Epochs) != 2 || r.Unsigned != 0 {
				t.Fatalf("%s\n%+v", r, r)
			}
			if lost := strings.Contains(strings.Join(r.Notes, ";"), "a restore lost"); lost != (previous != nil) {
				t.Errorf("notes: %q", r.Notes)
			}
			first := uint64(0)
			for rec, err := range audit.Read(restored, r.Epochs[1].First) {
				if err != nil {
					t.Fatal(err)
				}
				if first == 0 && rec.Event.Kind != access.EventEpochBegun {
					t.Errorf("the epoch begins with %s", rec.Event.Kind)
				}
				first = rec.Seq
			}
			if r := check(t, restored, verify.Options{Since: last}, k.public); r.OK {
				t.Error("a restore that lost signed records was not seen against a checkpoint kept elsewhere")
			}
		})
	}
}

// TestALogIsVerifiedWhileItIsWritten: what is signed while the records are read is not missing.
func TestALogIsVerifiedWhileItIsWritten(t *testing.T) {
	dir, k := filepath.Join(t.TempDir(), "audit"), newPair(t, "k1")
	l := openLog(t, options(dir, k))
	stop, done := make(chan struct{}), make(chan struct{})
	session(t, l, "first", 1)
	sign(t, l)
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				session(t, l, "s"+strconv.Itoa(i), 5)
				sign(t, l)
			}
		}
	}()
	for range 40 {
		if r := check(t, dir, verify.Options{Now: time.Now()}, k.public); !r.OK {
			t.Errorf("%s", r)
		}
	}
	close(stop)
	<-done
}
