package approval_test

import (
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/approval"
	"gatehouse/internal/fault"
)

// TestNobodyApprovesTheirOwn is the table of who may answer what: only people, never the one who asked, whatever roles
// they hold.
func TestNobodyApprovesTheirOwn(t *testing.T) {
	operator := access.OperatorPrincipal()
	dba := []string{"other", "dba"}
	as := func(p *access.Principal, kind access.PrincipalKind) *access.Principal {
		c := *p
		c.Kind = kind
		return &c
	}
	for name, test := range map[string]struct {
		asks      *access.Principal
		reviewers [][]string
		answers   *access.Principal
		roles     []string
		may       bool
	}{
		"a reviewer":                       {requester, [][]string{{"dba"}}, ann, dba, true},
		"one role of a list":               {requester, [][]string{{"lead", "dba"}}, ann, dba, true},
		"a role from each list":            {requester, [][]string{{"dba"}, {"other", "x"}}, ann, dba, true},
		"a role from one list only":        {requester, [][]string{{"dba"}, {"security"}}, ann, dba, false},
		"no role":                          {requester, [][]string{{"dba"}}, ann, nil, false},
		"a role that begins so":            {requester, [][]string{{"dba"}}, ann, []string{"dba-evil", "db", "DBA"}, false},
		"themselves":                       {ann, [][]string{{"dba"}}, ann, dba, false},
		"themselves, as a person":          {requester, [][]string{{"dba"}}, as(requester, access.Person), dba, false},
		"themselves, by a later token":     {ann, [][]string{{"dba"}}, &access.Principal{Issuer: ann.Issuer, Subject: ann.Subject, Kind: access.Person, Claims: map[string]any{"jti": "2"}}, dba, false},
		"same subject, other issuer":       {ann, [][]string{{"dba"}}, &access.Principal{Issuer: "https://else.example", Subject: "ann", Kind: access.Person}, dba, true},
		"a workload with the role":         {requester, [][]string{{"dba"}}, as(ben, access.Workload), dba, false},
		"the gateway":                      {requester, [][]string{{"dba"}}, access.GatewayPrincipal(), dba, false},
		"nobody":                           {requester, [][]string{{"dba"}}, nil, dba, false},
		"the operator, for the operator":   {requester, nil, operator, nil, true},
		"the operator, in an empty list":   {requester, [][]string{{}}, operator, nil, true},
		"the operator, for reviewers":      {requester, [][]string{{"dba"}}, operator, nil, false},
		"a person, for the operator":       {requester, nil, ann, dba, false},
		"a person, in an empty list":       {requester, [][]string{{}}, ann, dba, false},
		"a person, in one list of two":     {requester, [][]string{{"dba"}, {}}, ann, dba, false},
		"the operator's own":               {operator, nil, operator, nil, false},
		"the operator, one list of two":    {requester, [][]string{{"dba"}, {}}, operator, nil, false},
		"an empty role, for an empty role": {requester, [][]string{{"dba"}}, ann, []string{""}, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			a := held()
			a.Principal, a.Reviewers = test.asks.ID(), test.reviewers
			a = h.request(a)
			_, err := h.Answer(t.Context(), a.ID, test.answers, test.roles, approval.Decision{Choice: approval.Approve})
			if test.may {
				if err != nil {
					t.Error(err)
				}
				h.wantState(a.ID, access.ApprovalApproved)
				return
			}
			wantKind(t, err, fault.Denied)
			h.wantState(a.ID, access.ApprovalPending)
			h.wantStory(a.ID, "approval.requested ")
		})
	}
}

func TestDecisions(t *testing.T) {
	h := newHouse(t)
	a := h.request(held())
	for name, d := range map[string]approval.Decision{
		"none":             {},
		"yes":              {Choice: "yes", Reason: "r"},
		"deny, no reason":  {Choice: approval.Deny},
		"deny, a blank":    {Choice: approval.Deny, Reason: " \t"},
		"too long":         {Choice: approval.Approve, Reason: strings.Repeat("r", 1025)},
		"two lines":        {Choice: approval.Approve, Reason: "a\nb"},
		"terminal escapes": {Choice: approval.Approve, Reason: "\x1b[2Jfine"},
		"direction change": {Choice: approval.Approve, Reason: "fine\u202eenif"},
		"invalid UTF-8":    {Choice: approval.Approve, Reason: "\xff"},
	} {
		_, err := h.Answer(t.Context(), a.ID, ann, []string{"dba"}, d)
		if fault.KindOf(err) != fault.Malformed {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := h.Answer(t.Context(), "00000-00000", ann, []string{"dba"}, approval.Decision{Choice: approval.Approve}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("an answer to nothing: %v", err)
	}
	h.wantState(a.ID, access.ApprovalPending)
	if _, err := h.Answer(t.Context(), a.ID, ann, []string{"dba"}, approval.Decision{Choice: approval.Approve, Reason: "Müller said so: ok 👍"}); err != nil {
		t.Error(err)
	}
}
