package store

import (
	"context"
	"database/sql"
	"errors"

	"gatehouse/internal/fault"
)

// Secrets keeps sealed secrets by name. What is in them only the vault can tell.
type Secrets struct{ s *Store }

// Get returns a sealed secret; fault.NotFound where there is none of that name.
func (x *Secrets) Get(ctx context.Context, name string) ([]byte, error) {
	var sealed []byte
	err := x.s.read.QueryRowContext(ctx, "SELECT sealed FROM secrets WHERE name = $1", name).Scan(&sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, noSecret(name)
	}
	return sealed, failed("Secrets.Get", err)
}

// Put creates or replaces a sealed secret.
func (x *Secrets) Put(ctx context.Context, name string, sealed []byte) error {
	_, err := x.s.write.ExecContext(ctx, `INSERT INTO secrets (name, sealed, created, updated) VALUES ($1, $2, $3, $3)
		ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed, updated = excluded.updated`, name, sealed, micros(x.s.clock()))
	return failed("Secrets.Put", err)
}

// Delete removes a secret; fault.NotFound where there is none of that name.
func (x *Secrets) Delete(ctx context.Context, name string) error {
	res, err := x.s.write.ExecContext(ctx, "DELETE FROM secrets WHERE name = $1", name)
	if err != nil {
		return failed("Secrets.Delete", err)
	}
	return failed("Secrets.Delete", oneRow(res, noSecret(name)))
}

// Names returns the names of all secrets, sorted.
func (x *Secrets) Names(ctx context.Context) ([]string, error) {
	rows, err := x.s.read.QueryContext(ctx, "SELECT name FROM secrets ORDER BY name")
	if err != nil {
		return nil, failed("Secrets.Names", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err is what tells
	var names []string
	for rows.Next() {
		var n string
		if err := rows.Scan(&n); err != nil {
			return nil, failed("Secrets.Names", err)
		}
		names = append(names, n)
	}
	return names, failed("Secrets.Names", rows.Err())
}

// Rewrite replaces every sealed secret with what f makes of it, all or none: an error of f undoes everything and is
// returned. No secret can change meanwhile.
func (x *Secrets) Rewrite(ctx context.Context, f func(name string, sealed []byte) ([]byte, error)) error {
	return x.s.inTx(ctx, "Secrets.Rewrite", func(tx *sql.Tx) error {
		// Taking the revision's row makes rewriters queue on databases that lock rows; SQLite has locked already.
		if _, err := tx.ExecContext(ctx, "UPDATE revision SET number = number WHERE id = 1"); err != nil {
			return err
		}
		all, err := sealedSecrets(ctx, tx)
		if err != nil {
			return err
		}
		now := micros(x.s.clock())
		for _, secret := range all {
			fresh, err := f(secret.name, secret.sealed)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, "UPDATE secrets SET sealed = $1, updated = $2 WHERE name = $3", fresh, now, secret.name); err != nil {
				return err
			}
		}
		return nil
	})
}

type sealedSecret struct {
	name   string
	sealed []byte
}

func sealedSecrets(ctx context.Context, tx *sql.Tx) ([]sealedSecret, error) {
	rows, err := tx.QueryContext(ctx, "SELECT name, sealed FROM secrets ORDER BY name")
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err is what tells
	var all []sealedSecret
	for rows.Next() {
		var one sealedSecret
		if err := rows.Scan(&one.name, &one.sealed); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

func noSecret(name string) error {
	return fault.New(fault.NotFound, "store.Secrets", "there is no secret called %q: set it with gatehouse secrets set %s", name, name)
}
