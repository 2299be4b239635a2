package main

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
)

// The function's call, as it stands before a path.
const call = `curl -sS --cacert $DEMO/ca.pem -H "Authorization: Bearer $(cat $DEMO/fn.token)" `

func showAPI(ctx context.Context, w *world) error {
	if err := w.write("billing.key", billingKey); err != nil {
		return err
	}
	out, err := w.must(ctx, `curl -sS -H "Authorization: Bearer $(cat $DEMO/billing.key)" $BILLING_DIRECT/v1/customers/1`)
	if err != nil {
		return err
	}
	if err := w.check(strings.Contains(out, "ada.brook@"), "whoever has the key sees everything", out); err != nil {
		return err
	}
	_, err = w.must(ctx, "gatehouse secrets set billing < $DEMO/billing.key && rm $DEMO/billing.key")
	return err
}

func callAPI(ctx context.Context, w *world) error {
	out, err := w.must(ctx, call+"$BILLING/v1/customers/1")
	if err != nil {
		return err
	}
	hidden := !strings.Contains(out, "ada.brook@") && !strings.Contains(out, "078-05") && !strings.Contains(out, "4242")
	if err := w.check(strings.Contains(out, "Ada Brook") && hidden, "fields are hidden by their path, and a card number inside of a text", out); err != nil {
		return err
	}
	if out, err = w.must(ctx, call+"$BILLING/v1/whoami"); err != nil {
		return err
	}
	if err := w.check(strings.Contains(out, "Bearer ") && !strings.Contains(out, billingKey), "the API got its key, and repeats it; the function does not get to see it", out); err != nil {
		return err
	}
	token, err := os.ReadFile(w.path("fn.token"))
	if err != nil {
		return err
	}
	secret := strings.TrimSpace(string(token))
	if err := w.check(secret != "" && !w.billing.saw(secret), "and the API never got the function's token", "the token was in a header"); err != nil {
		return err
	}
	if out, err = w.must(ctx, call+"-X DELETE $BILLING/v1/customers/1"); err != nil {
		return err
	}
	return w.check(strings.Contains(out, `"status":403`) && w.billing.count("DELETE /v1/customers/1") == 0, "what no policy allows is refused, and the API never sees it", out)
}

// answered finds the approval that an answer of 202 names.
var answered = regexp.MustCompile(`(?mi)^gatehouse-approval: (\S+)`)

func holdRefund(ctx context.Context, w *world) error {
	const post, seen = `--json '{"order": 7, "amount": 50}' $BILLING/v1/refunds`, "POST /v1/refunds"
	out, err := w.must(ctx, call+"-i "+post)
	if err != nil {
		return err
	}
	m := answered.FindStringSubmatch(out)
	if err := w.check(m != nil && strings.Contains(out, "202") && strings.Contains(out, "by one of: dba") && w.billing.count(seen) == 0, "the answer is 202 and an approval's name, and the API has seen nothing", out); err != nil {
		return err
	}
	if _, err := w.must(ctx, "gatehouse approvals approve "+m[1]+" --reason 'the order was lost' --token-file $DEMO/ann.token"); err != nil {
		return err
	}
	again := call + "-H 'Gatehouse-Approval: " + m[1] + "' " + post
	if out, err = w.must(ctx, again); err != nil {
		return err
	}
	if err := w.check(strings.Contains(out, `"state":"paid"`), "the same request, with the approval's name, runs", out); err != nil {
		return err
	}
	if out, err = w.must(ctx, again); err != nil {
		return err
	}
	n := w.billing.count(seen)
	return w.check(strings.Contains(out, `"status":409`) && n == 1, "once: the API has seen one refund", fmt.Sprintf("%d refunds; %s", n, out))
}
