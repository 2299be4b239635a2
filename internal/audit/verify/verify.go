package verify

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/fault"
)

// Options widen a verification.
type Options struct {
	Since []byte    // a checkpoint of this log that was kept elsewhere: finds a roll-back and a second history
	Now   time.Time // tells the age of checkpoints; zero leaves it out
}

// Dir verifies the log in a directory. keys are verifier keys (C2SP signed-note: name+hash+base64); the first that ever
// signed suffices, as rotations are followed. The first thing that is wrong is in the Report; an error means that the
// verification itself could not be done: a key that is none (fault.Malformed), no log there (fault.NotFound), files
// that cannot be read. Memory does not depend on the size of the log.
func Dir(dir string, keys []string, o Options) (Report, error) {
	v := &verifier{dir: dir, now: o.Now, intents: make(map[intentID]int64)}
	for _, s := range keys {
		k, err := parseKey(s)
		if err != nil {
			return Report{}, err
		}
		v.keys = append(v.keys, k)
	}
	if len(v.keys) == 0 {
		return Report{}, fault.New(fault.Malformed, "verify.Dir", "no public key was given: pass --key FILE")
	}
	if o.Since != nil {
		c, err := parseCheckpoint(o.Since)
		if err != nil {
			return Report{}, fault.Wrap(fault.Malformed, "verify.Dir", err, "the outside checkpoint cannot be read: %v", err)
		}
		c.file = "the outside checkpoint"
		v.since = c
	}
	epochs, err := epochDirs(dir)
	if err != nil {
		return Report{}, err
	}
	err = v.run(epochs)
	var f *Fault
	switch {
	case errors.As(err, &f):
		v.report.Fault = f
	case err != nil:
		return Report{}, fault.Wrap(fault.Unavailable, "verify.Dir", err, "the log cannot be read: %v", err)
	default:
		v.report.OK = true
	}
	v.report.Unsigned = v.report.Records - v.report.Signed
	v.report.Unknown += uint64(len(v.intents))
	return v.report, nil
}

// epochDirs returns the numbers of the epochs, ascending.
func epochDirs(dir string) ([]uint32, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fault.Wrap(fault.NotFound, "verify.Dir", err, "no audit log in %s: pass its directory with --dir", dir)
	}
	var out []uint32
	for _, e := range entries {
		digits, ok := strings.CutPrefix(e.Name(), "epoch-")
		n, err := strconv.ParseUint(digits, 10, 32)
		if ok && err == nil && e.IsDir() {
			out = append(out, uint32(n))
		}
	}
	if len(out) == 0 {
		return nil, fault.New(fault.NotFound, "verify.Dir", "no audit log in %s: pass its directory with --dir", dir)
	}
	slices.Sort(out)
	return out, nil
}

// verifier is one verification.
type verifier struct {
	dir     string
	now     time.Time
	keys    []key // given, and followed
	since   *checkpoint
	found   bool // the outside checkpoint's epoch is here, and its root is the log's
	report  Report
	intents map[intentID]int64 // how many messages each covers, where it is a window
	before  *epoch             // the epoch before, whole
}

func (v *verifier) run(numbers []uint32) error {
	for i, n := range numbers {
		if n != uint32(i+1) {
			return &Fault{File: epochName(uint32(i + 1)), What: "an epoch is missing"}
		}
		e := &epoch{v: v, name: epochName(n), number: n}
		if err := e.verify(i == len(numbers)-1); err != nil {
			return err
		}
		v.before = e
	}
	return v.checkSince()
}

func epochName(n uint32) string { return fmt.Sprintf("epoch-%06d", n) }

// checkSince says what became of the outside checkpoint.
func (v *verifier) checkSince() error {
	c := v.since
	if c == nil {
		return nil
	}
	signers, err := c.signers(v.keys)
	if err != nil {
		return &Fault{What: "the outside checkpoint is not genuine: " + err.Error()}
	}
	if len(signers) == 0 {
		return &Fault{What: "the outside checkpoint is signed by no key that was given or that this log names: give its key as well"}
	}
	if !v.found {
		return &Fault{What: fmt.Sprintf("the outside checkpoint is of %q, of which nothing is here: this is another log, or a history that took its place", c.origin)}
	}
	v.report.Outside = v.signed(c, signers[0])
	return nil
}

func (v *verifier) signed(c *checkpoint, k key) *Signed {
	s := &Signed{Origin: c.origin, Size: c.size, Mode: c.mode, Time: c.time, Key: k.name}
	if !v.now.IsZero() {
		s.Age = v.now.Sub(c.time).Round(time.Second).String()
	}
	return s
}

// note adds something that is not wrong and should be known.
func (v *verifier) note(format string, args ...any) {
	v.report.Notes = append(v.report.Notes, fmt.Sprintf(format, args...))
}

// readFile reads a small file of the log; a file that is not there reads as nil.
func (v *verifier) readFile(name string, limit int64) ([]byte, error) {
	path := filepath.Join(v.dir, name)
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if info.Size() > limit {
		return nil, &Fault{File: name, What: fmt.Sprintf("the file has %d bytes where at most %d belong", info.Size(), limit)}
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) { // a partial tile of a log that is being written has made way for the next
		return nil, nil
	}
	if data == nil && err == nil {
		data = []byte{}
	}
	return data, err
}

// event is what the verifier reads of a payload.
type event struct {
	Kind    string          `json:"kind"`
	Session json.RawMessage `json:"session"`
	Action  uint64          `json:"action"`
	Window  *window         `json:"window"`
	Rows    int64           `json:"rows"`
	Detail  json.RawMessage `json:"detail"`
}

type window struct {
	Messages int64 `json:"messages"`
}

type detail struct {
	Key        string `json:"key"`
	Public     string `json:"public"`
	Epoch      string `json:"epoch"`
	Checkpoint string `json:"checkpoint"`
	Origin     string `json:"origin"`
	Size       string `json:"size"`
	Root       string `json:"root"`
}

type intentID struct {
	session string
	action  uint64
}

// mostOpen bounds how many actions may be under way at once, and so the verifier's memory.
const mostOpen = 1 << 20

// judge checks what an event means: an intent is written once and has at most one outcome, which follows it; that of a window holds no
// more messages than the intent covers.
func (v *verifier) judge(e event) error {
	id := intentID{string(e.Session), e.Action}
	most, open := v.intents[id]
	switch e.Kind {
	case "action.intended":
		v.report.Intents++
		if open {
			return fmt.Errorf("action %d of session %s is intended a second time", e.Action, e.Session)
		}
		if len(v.intents) == mostOpen {
			return fmt.Errorf("more than %d actions are under way at once", mostOpen)
		}
		v.intents[id] = 0
		if e.Window != nil {
			v.intents[id] = max(1, e.Window.Messages)
		}
	case "action.ended":
		v.report.Outcomes++
		if !open && v.report.Erased == 0 { // an erased payload may be the intent
			return fmt.Errorf("action %d of session %s has an outcome and no intent that waits for one", e.Action, e.Session)
		}
		delete(v.intents, id)
		if most > 0 && e.Rows > most {
			return fmt.Errorf("action %d of session %s let %d messages through, and its intent covers %d", e.Action, e.Session, e.Rows, most)
		}
		if most > 0 {
			v.report.Windows++
			v.report.Messages += e.Rows
		}
	case "gateway.started", "log.epoch": // whatever was under way has died
		v.report.Unknown += uint64(len(v.intents))
		clear(v.intents)
	}
	return nil
}
