package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

func replay(ctx context.Context, w *world) error {
	if _, err := w.must(ctx, "gatehouse sessions list"); err != nil {
		return err
	}
	id, err := w.sessionWith(ctx, "DROP TABLE")
	if err != nil {
		return err
	}
	out, err := w.must(ctx, "gatehouse sessions replay "+id)
	if err != nil {
		return err
	}
	if err := w.check(strings.Contains(out, "DROP TABLE"), "the refused statement is on record", out); err != nil {
		return err
	}
	if id, err = w.sessionWith(ctx, "email, ssn"); err != nil {
		return err
	}
	if out, err = w.must(ctx, "gatehouse sessions replay "+id); err != nil {
		return err
	}
	return w.check(strings.Contains(out, "Ada Brook") && !strings.Contains(out, "078-05"), "recorded results are the masked ones", out)
}

// sessionWith finds the newest session in which a text was asked.
func (w *world) sessionWith(ctx context.Context, text string) (string, error) {
	r := w.quiet(ctx, "gatehouse sessions list -o json")
	var list any
	if err := json.Unmarshal([]byte(r.text), &list); err != nil {
		return "", fmt.Errorf("gatehouse sessions list -o json: %w: %s", err, r.text)
	}
	for _, id := range sessionIDs(list) {
		if s := w.quiet(ctx, "gatehouse sessions replay "+id); s.status == 0 && strings.Contains(s.text, text) {
			return id, nil
		}
	}
	return "", fmt.Errorf("no session shows %q", text)
}

// sessionIDs collects the ids of a listing.
func sessionIDs(list any) []string {
	var ids []string
	switch v := list.(type) {
	case []any:
		for _, x := range v {
			ids = append(ids, sessionIDs(x)...)
		}
	case map[string]any:
		for _, key := range []string{"id", "session"} {
			if id, ok := v[key].(string); ok {
				return []string{id}
			}
		}
		for _, x := range v {
			ids = append(ids, sessionIDs(x)...)
		}
	}
	return ids
}

func verify(ctx context.Context, w *world) error {
	if _, err := w.must(ctx, "mkdir $DEMO/elsewhere && cp -r $GATEHOUSE_STATE/audit $GATEHOUSE_STATE/keys/audit.pub $DEMO/elsewhere/"); err != nil {
		return err
	}
	r := w.run(ctx, "gatehouse audit verify --dir $DEMO/elsewhere/audit --key $DEMO/elsewhere/audit.pub")
	return w.check(r.status == 0, "the copy verifies", r.text)
}

func tamper(ctx context.Context, w *world) error {
	file, size, err := largest(w.path("elsewhere/audit"))
	if err != nil {
		return err
	}
	at := size / 2
	if _, err := w.must(ctx, fmt.Sprintf("printf '\\%s' | dd of=%s bs=1 seek=%d conv=notrunc status=none", flipped(file, at), file, at)); err != nil {
		return err
	}
	r := w.run(ctx, "gatehouse audit verify --dir $DEMO/elsewhere/audit --key $DEMO/elsewhere/audit.pub")
	return w.check(r.status == 1, "the change is found, and named", r.text)
}

// flipped is the byte at an offset with one bit changed, in octal as printf takes it.
func flipped(file string, at int64) string {
	raw, err := os.ReadFile(file)
	if err != nil || at >= int64(len(raw)) {
		return "0"
	}
	return fmt.Sprintf("%03o", raw[at]^1)
}

// largest finds the file with the most in it: where the records are.
func largest(dir string) (name string, size int64, err error) {
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() > size {
			name, size = p, info.Size()
		}
		return err
	})
	if err == nil && size == 0 {
		err = errors.New("the log is empty")
	}
	return name, size, err
}
