package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/internal/access"
	"gatehouse/internal/cli/client"
)

func (a *app) audit() *cobra.Command {
	o := VerifyOptions{}
	var output string
	verify := &cobra.Command{Use: "verify --key FILE", Short: "Check the audit log, offline, with the public key alone", Args: args(0, 0, ""),
		Long: `Check that nothing in the audit log was inserted, changed, deleted or reordered. Only the log's files and the public key
are read; the gateway need not run, nor be trusted. A roll-back to an older log is found only against a checkpoint that was
kept elsewhere: --since. Exits 1 where something is wrong.`,
		Example: "  gatehouse audit verify --key audit.pub\n  gatehouse audit verify --dir copy/audit --key audit.pub --since monday.checkpoint -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			if o.Key == "" {
				return usagef("--key is needed: the file with the log's public key, best a copy that was kept elsewhere")
			}
			if o.Dir == "" {
				o.Dir = filepath.Join(a.state, "audit")
			}
			r, err := a.Gateway.Verify(c.Context(), o)
			if err != nil {
				return err
			}
			if output == asJSON {
				err = a.writeJSON(r.Data)
			} else {
				a.printf("%s\n", strings.TrimRight(visibleLines(r.Text), "\n"))
			}
			if err == nil && !r.OK {
				err = errFailed{errors.New("the audit log does not verify")}
			}
			return err
		}}
	verify.Flags().StringVar(&o.Dir, "dir", "", "the log's `directory` (default: audit in the state directory)")
	verify.Flags().StringVar(&o.Key, "key", "", "`file` with the public key")
	verify.Flags().StringVar(&o.Since, "since", "", "`file` with a checkpoint that was kept elsewhere")
	form(verify, &output, asTable, asJSON)

	checkpoint := a.remote(&cobra.Command{Use: "checkpoint", Short: "Sign the log as it is now and print the checkpoint", Args: args(0, 0, ""),
		Long:    "Sign the log as it is now and print the checkpoint. Keep it away from the gateway: it proves a roll-back later.",
		Example: "  gatehouse audit checkpoint > $(date +%F).checkpoint",
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.connect()
			if err != nil {
				return err
			}
			note, err := cl.Checkpoint(c.Context())
			if err != nil {
				return err
			}
			a.printf("%s", note)
			return nil
		}})
	return group("audit", "Check the audit log", "", verify, checkpoint, a.messages())
}

func (a *app) messages() *cobra.Command {
	var want string
	c := &cobra.Command{Use: "messages [FILE]", Short: "Tell the root of messages, offline", Args: args(0, 1, "a file of digests"),
		Long: `Tell how many messages a file or standard input lists, and their root. Each line is the SHA-256 of one message, in hex, in the
order in which they passed. The outcome of a window in the audit log has the same root, if it was these messages, in this
order, and no others. With --root it exits 1 where it was not.`,
		Example: "  gatehouse audit messages digests.txt --root cac3d448d4e20a2ad5eae1f500e63c2a7f9217cd14572ba7fd22e26dc1ec2648\n" +
			"  for m in messages/*; do sha256sum < $m | cut -c -64; done | gatehouse audit messages",
		RunE: func(_ *cobra.Command, given []string) error {
			in := a.In
			if len(given) > 0 {
				f, err := os.Open(given[0])
				if err != nil {
					return usagef("the digests cannot be read: %v", err)
				}
				defer func() { _ = f.Close() }()
				in = f
			}
			count, root, err := a.Gateway.Messages(in)
			if err != nil {
				return err
			}
			a.printf("%s, root %s\n", plural(int64(count), "message"), root)
			if want != "" && !strings.EqualFold(want, root) {
				a.printf("it was not these messages, or not in this order: the roots differ\n")
				return errFailed{errors.New("the roots differ")}
			}
			return nil
		}}
	c.Flags().StringVar(&want, "root", "", "the root that the log has, in `hex`")
	return c
}

func (a *app) whoami() *cobra.Command {
	var output, ref string
	c := a.remote(&cobra.Command{Use: "whoami", Short: "Say what the gateway makes of a token", Args: args(0, 0, ""),
		Long: `Say what the gateway makes of a token: who it is, which roles it has and which connections they reach. A token that is
refused is told a reference only; with the administrator's token, --ref gives the exact reason.`,
		Example: "  gatehouse whoami --token-file token.txt\n  gatehouse whoami --ref 7f3k2m5q",
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.connect()
			if err != nil {
				return err
			}
			if ref != "" {
				return a.refusal(c, cl, ref, output)
			}
			w, err := cl.Whoami(c.Context())
			if err != nil {
				return err
			}
			if output == asJSON {
				return a.writeJSON(w)
			}
			if w.Kind == string(access.Operator) {
				a.pairs("principal", w.Principal, "kind", w.Kind, "may", "do everything but answer approvals that name reviewers")
				return nil
			}
			a.pairs("principal", w.Principal, "kind", w.Kind, "expires", clock(w.Expires), "roles", orNone(w.Roles), "connections", orNone(w.Connections))
			return nil
		}})
	c.Flags().StringVar(&ref, "ref", "", "explain a refused login by its `reference`")
	form(c, &output, asTable, asJSON)
	return c
}

func (a *app) refusal(c *cobra.Command, cl *client.Client, ref, output string) error {
	r, err := cl.Refusal(c.Context(), ref)
	if err != nil {
		return err
	}
	if output == asJSON {
		return a.writeJSON(r)
	}
	a.pairs("ref", r.Ref, "time", clock(r.Time), "from", r.Peer, "protocol", r.Protocol, "connection", r.Connection, "principal", r.Principal, "reason", r.Reason)
	return nil
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

func (a *app) lock() *cobra.Command {
	var reason string
	c := a.remote(&cobra.Command{Use: "lock --reason R", Short: "Stop everything: no login and no action until unlocked", Args: args(0, 0, ""),
		Long:    "Stop everything at once: no login and no action gets through until gatehouse unlock. It outlives a restart.",
		Example: "  gatehouse lock --reason 'leaked token, case 17'",
		RunE: func(c *cobra.Command, _ []string) error {
			if strings.TrimSpace(reason) == "" {
				return usagef("--reason is needed: it is recorded")
			}
			cl, err := a.connect()
			if err != nil {
				return err
			}
			if err := cl.Lock(c.Context(), reason); err != nil {
				return err
			}
			a.printf("%s: nothing gets through until gatehouse unlock\n", a.paint(red, "locked"))
			return nil
		}})
	c.Flags().StringVar(&reason, "reason", "", "why")
	return c
}

func (a *app) unlock() *cobra.Command {
	return a.remote(&cobra.Command{Use: "unlock", Short: "Open the gateway again", Args: args(0, 0, ""),
		Example: "  gatehouse unlock",
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.connect()
			if err != nil {
				return err
			}
			if err := cl.Unlock(c.Context()); err != nil {
				return err
			}
			a.printf("%s\n", a.paint(green, "unlocked"))
			return nil
		}})
}

func (a *app) keys() *cobra.Command {
	names := []string{"vault", "mask", "signing"}
	rotate := a.remote(&cobra.Command{Use: "rotate vault|mask|signing", Short: "Replace one of the gateway's keys", Args: args(1, 1, "the key: vault, mask or signing"),
		Long: `Replace a key. vault: what seals credentials; they are sealed again. mask: what makes tokens of hidden values; the same
value gives another token afterwards. signing: what signs the audit log; the log itself names the new key, signed by the old.`,
		Example: "  gatehouse keys rotate vault", ValidArgs: names,
		RunE: func(c *cobra.Command, given []string) error {
			if !strings.Contains(" vault mask signing ", " "+given[0]+" ") {
				return usagef("%q is no key: use one of %s", given[0], strings.Join(names, ", "))
			}
			cl, err := a.connect()
			if err != nil {
				return err
			}
			note, err := cl.Rotate(c.Context(), given[0])
			if err != nil {
				return err
			}
			a.printf("%s\n", visibleLines(note))
			return nil
		}})
	return group("keys", "The gateway's own keys", "", rotate)
}

func (a *app) backup() *cobra.Command {
	return a.remote(&cobra.Command{Use: "backup FILE", Short: "Write a consistent copy of the state", Args: args(1, 1, "the FILE to write"),
		Long: `Write a consistent copy of the state while the gateway runs. Credentials in it are sealed; the key that opens them is not
part of it, so keep keys/ elsewhere. The file must not exist yet.`,
		Example: "  gatehouse backup gatehouse-$(date +%F).backup",
		RunE: func(c *cobra.Command, given []string) error {
			cl, err := a.connect()
			if err != nil {
				return err
			}
			n, err := writeWhole(given[0], func(w io.Writer) error { return cl.Backup(c.Context(), w) })
			if err != nil {
				return err
			}
			a.printf("wrote %s (%d bytes)\n", visible(given[0]), n)
			return nil
		}})
}

// writeWhole writes a new file, readable by its owner only, that appears under its name when it is complete.
func writeWhole(path string, write func(io.Writer) error) (int64, error) {
	if _, err := os.Lstat(path); err == nil {
		return 0, fmt.Errorf("%s exists already: choose another name", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".gatehouse-backup-*") // made with mode 0600
	if err != nil {
		return 0, err
	}
	err = errors.Join(write(f), f.Sync())
	size := int64(0)
	if info, statErr := f.Stat(); statErr == nil {
		size = info.Size()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Link(f.Name(), path) // unlike a rename, it never replaces a file that has appeared meanwhile
	}
	return size, errors.Join(err, os.Remove(f.Name()))
}
