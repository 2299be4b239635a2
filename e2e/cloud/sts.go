package cloud

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Session is what somebody assumed a role as.
type Session struct {
	Role, Name string
	Tags       map[string]string
	WebToken   string // what a web identity was proved with
}

type stsCredentials struct {
	AccessKeyID     string `xml:"AccessKeyId"`
	SecretAccessKey string
	SessionToken    string
	Expiration      string
}

type stsUser struct {
	Arn           string
	AssumedRoleID string `xml:"AssumedRoleId"`
}

type stsResult struct {
	Credentials     *stsCredentials `xml:",omitempty"`
	AssumedRoleUser *stsUser        `xml:",omitempty"`
	Account         string          `xml:",omitempty"`
	Arn             string          `xml:",omitempty"`
	UserID          string          `xml:"UserId,omitempty"`
}

// sts is a fake of STS: it knows three calls, gives a role to everybody, and its sessions sign from then on.
func (f *front) sts(w http.ResponseWriter, r *http.Request, a *Arrival) {
	form, err := url.ParseQuery(string(a.Body))
	action := form.Get("Action")
	if err != nil || (action != "GetCallerIdentity" && action != "AssumeRole" && action != "AssumeRoleWithWebIdentity") {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprint(w, "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidAction</Code><Message>the fake does not know it</Message></Error></ErrorResponse>")
		return
	}
	out := stsResult{Account: Account, Arn: "arn:aws:iam::" + Account + ":user/" + a.Who, UserID: a.Who}
	if action != "GetCallerIdentity" {
		out = f.assume(form)
	}
	body, err := xml.Marshal(struct {
		XMLName xml.Name
		Result  any
	}{xml.Name{Local: action + "Response"}, struct {
		XMLName xml.Name
		stsResult
	}{xml.Name{Local: action + "Result"}, out}})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	_, _ = w.Write(body)
}

// identified answers the one call that nobody signs, since a token proves who asks.
func (f *front) identified(w http.ResponseWriter, r *http.Request, a *Arrival) bool {
	body, err := io.ReadAll(io.LimitReader(r.Body, whole))
	form, bad := url.ParseQuery(string(body))
	if r.Body = io.NopCloser(bytes.NewReader(body)); errors.Join(err, bad) != nil || form.Get("Action") != "AssumeRoleWithWebIdentity" || form.Get("WebIdentityToken") == "" {
		return false
	}
	a.Service, a.Target, a.Body, a.Who = "sts", form.Get("Action"), body, "nobody"
	f.sts(w, r, a)
	return true
}

// assume makes a session's credentials.
func (f *front) assume(form url.Values) stsResult {
	s := Session{Role: form.Get("RoleArn"), Name: form.Get("RoleSessionName"), Tags: map[string]string{}, WebToken: form.Get("WebIdentityToken")}
	for i := 1; form.Has(fmt.Sprintf("Tags.member.%d.Key", i)); i++ {
		s.Tags[form.Get(fmt.Sprintf("Tags.member.%d.Key", i))] = form.Get(fmt.Sprintf("Tags.member.%d.Value", i))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sessions = append(f.sessions, s)
	n := len(f.keys)
	c := &stsCredentials{fmt.Sprintf("ASIASESSION%08d", n), fmt.Sprintf("session-secret-%d", n), fmt.Sprintf("session-token-%d", n),
		time.Now().Add(time.Hour).UTC().Format(time.RFC3339)}
	f.keys[c.AccessKeyID] = key{c.SecretAccessKey, c.SessionToken, s.Name}
	role := s.Role[strings.LastIndexByte(s.Role, '/')+1:]
	return stsResult{Credentials: c, AssumedRoleUser: &stsUser{"arn:aws:sts::" + Account + ":assumed-role/" + role + "/" + s.Name, "AROA:" + s.Name}}
}
