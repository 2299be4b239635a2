package aws

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
)

// roles keeps the sessions of roles that connections assume, until shortly before they end. It is safe for concurrent use.
type roles struct {
	mu    sync.Mutex
	all   map[string]*assumed
	swept time.Time
}

// assumed is one session; whoever needs it first fetches it, and the others wait.
type assumed struct {
	mu      sync.Mutex
	keys    aws.Credentials
	expires time.Time

	used time.Time // guarded by roles.mu
}

const (
	maxSessions  = 10_000
	renewBefore  = 5 * time.Minute
	roleLifetime = time.Hour
	roleUnused   = time.Hour   // after which a session that nobody used is dropped: its connection may be gone
	sweepAfter   = time.Minute // between two looks for such sessions
	maxTokenFile = 20_000
)

func newRoles() *roles { return &roles{all: map[string]*assumed{}} }

// credentials returns those of the role that the connection assumes; nil where it assumes none.
func (s *roles) credentials(v *visit) (*aws.Credentials, error) {
	if v.conn.AWS == nil || v.conn.AWS.AssumeRole == nil {
		return nil, nil
	}
	a := s.of(v)
	a.mu.Lock()
	defer a.mu.Unlock()
	if v.p.clock().Before(a.expires) {
		keys := a.keys
		return &keys, nil
	}
	keys, until, err := v.assume(v.r.Context())
	if err != nil {
		return nil, err
	}
	a.keys, a.expires = keys, until.Add(-min(renewBefore, until.Sub(v.p.clock())/2))
	return &keys, nil
}

// of finds the place of a session. Where it carries the principal, each principal has its own.
func (s *roles) of(v *visit) *assumed {
	r := v.conn.AWS.AssumeRole
	doc, _ := json.Marshal([]any{v.conn.Name, v.conn.Credential, r, v.conn.Address}) // these types always marshal
	key := string(doc)
	if r.SessionTags {
		key += v.x.Caller().Principal.ID()
	}
	return s.place(key, v.p.clock())
}

func (s *roles) place(key string, now time.Time) *assumed {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.all[key]
	if a == nil {
		if now.Sub(s.swept) > sweepAfter {
			s.swept = now
			maps.DeleteFunc(s.all, func(_ string, x *assumed) bool { return now.Sub(x.used) > roleUnused })
		}
		if len(s.all) >= maxSessions {
			clear(s.all)
		}
		a = &assumed{}
		s.all[key] = a
	}
	a.used = now
	return a
}

// assume asks STS for a session of the role, as the gateway's own call and on record.
func (v *visit) assume(ctx context.Context) (aws.Credentials, time.Time, error) {
	role := v.conn.AWS.AssumeRole
	form, err := v.roleForm()
	if err != nil {
		return aws.Credentials{}, time.Time{}, err
	}
	u, err := v.sts()
	if err != nil {
		return aws.Credentials{}, time.Time{}, err
	}
	sign := func(ctx context.Context, r *http.Request, c gate.Credential) error {
		keys, err := static(c)
		if err != nil {
			return err
		}
		sum := digestOf([]byte(form.Encode()))
		return v.p.sign(ctx, r, keys, sum, "sts", v.at.region)
	}
	if role.TokenFile != "" {
		sign = nil // the token proves who asks
	}
	f, err := v.x.Fetch(ctx, gate.Own{Name: ownAssume, Text: form.Get("Action") + " " + role.ARN + " as " + form.Get("RoleSessionName")},
		gate.Outgoing{
			Method: http.MethodPost, URL: u, Host: host(u), Body: []byte(form.Encode()),
			Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"application/xml"}},
		}, sign)
	if err != nil {
		return aws.Credentials{}, time.Time{}, fault.Wrap(fault.Unavailable, "aws.assume", err, "the role of connection %s could not be assumed", v.conn.Name)
	}
	return readRole(f, v.conn.Name)
}

// ownAssume is the one call of the gateway's own.
const ownAssume = "aws:AssumeRole"

// roleForm is what STS is asked.
func (v *visit) roleForm() (url.Values, error) {
	role, p := v.conn.AWS.AssumeRole, v.x.Caller().Principal
	life := time.Duration(role.Duration)
	if life <= 0 {
		life = roleLifetime
	}
	form := url.Values{
		"Version": {"2011-06-15"}, "Action": {"AssumeRole"}, "RoleArn": {role.ARN},
		"DurationSeconds": {strconv.Itoa(int(life / time.Second))}, "RoleSessionName": {"gatehouse"},
	}
	if role.ExternalID != "" {
		form.Set("ExternalId", role.ExternalID)
	}
	if role.SessionTags {
		form.Set("RoleSessionName", sessionName(p.Issuer, p.Subject))
		for i, tag := range [...][2]string{{"gatehouse:issuer", p.Issuer}, {"gatehouse:subject", p.Subject}, {"gatehouse:connection", v.conn.Name}} {
			n := "Tags.member." + strconv.Itoa(i+1)
			form.Set(n+".Key", tag[0])
			form.Set(n+".Value", tagged(tag[1]))
		}
	}
	if role.TokenFile == "" {
		return form, nil
	}
	token, err := readToken(role.TokenFile)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "aws.assume", err, "the web identity token of connection %s cannot be read", v.conn.Name)
	}
	form.Set("Action", "AssumeRoleWithWebIdentity")
	form.Set("WebIdentityToken", token)
	for name := range form {
		if strings.HasPrefix(name, "Tags.") || name == "ExternalId" {
			form.Del(name) // which this call does not take
		}
	}
	return form, nil
}

func readToken(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxTokenFile))
	return string(bytes.TrimSpace(b)), err
}

// tagged is the value of a tag. Texts that differ have values that differ: where one has characters that no tag may have, or is too
// long, a digest of it follows; so it does where a text looks as if it did.
func tagged(s string) string {
	const digits = 32
	out := within(s, " _.:/=+-@", 1, 256)
	_, end, marked := cutLast(s, '+')
	looks := len(end) == digits && strings.Trim(end, "0123456789abcdef") == ""
	if out == s && !(marked && looks) {
		return s
	}
	return out[:min(len(out), 256-1-digits)] + "+" + digestOf([]byte(s))[:digits]
}

// sessionName names the session of a principal. Principals that differ have sessions that do: a digest of issuer and subject ends the
// name, whose beginning is for people.
func sessionName(issuer, subject string) string {
	const digits = 32
	digest := digestOf([]byte(strconv.Itoa(len(issuer)) + ":" + issuer + subject))[:digits]
	return within(subject, "+=,.@-_", 0, 64-1-digits) + "." + digest
}

// within makes a text of the characters that STS takes: letters, digits and others; what is none of them is an underscore.
func within(s, others string, least, most int) string {
	out := strings.Map(func(r rune) rune {
		if r < 0x80 && (nameByte(byte(r)) || r >= '0' && r <= '9' || strings.ContainsRune(others, r)) {
			return r
		}
		return '_'
	}, s)
	if len(out) > most {
		out = out[:most]
	}
	for len(out) < least {
		out += "_"
	}
	return out
}

// sts is where roles are assumed.
func (v *visit) sts() (*url.URL, error) {
	address := v.conn.Address
	if s := v.conn.AWS.Endpoints["sts"]; s != "" {
		address = s
	}
	if s := v.conn.AWS.AssumeRole.STS; s != "" {
		address = s
	}
	e, err := access.ParseEndpoint(address)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "aws.sts", err, "the address of STS of connection %s cannot be read", v.conn.Name)
	}
	u := e.URL()
	if suffix, ok := strings.CutPrefix(u.Host, "*."); ok {
		u.Host = "sts." + v.at.region + "." + suffix
	}
	u.Path = e.Base + "/"
	return u, nil
}

// readRole reads the answer of STS.
func readRole(f *gate.Fetched, connection string) (aws.Credentials, time.Time, error) {
	var answer struct {
		Keys  roleKeys `xml:"AssumeRoleResult>Credentials"`
		Web   roleKeys `xml:"AssumeRoleWithWebIdentityResult>Credentials"`
		Error string   `xml:"Error>Code"`
	}
	if err := xml.Unmarshal(f.Body, &answer); err != nil {
		return aws.Credentials{}, time.Time{}, fault.Wrap(fault.Backend, "aws.assume", err, "the answer of STS to connection %s cannot be read", connection)
	}
	k := answer.Keys
	if k.AccessKeyID == "" {
		k = answer.Web
	}
	if f.Status != http.StatusOK || k.AccessKeyID == "" || k.SecretAccessKey == "" || k.Expiration.IsZero() {
		return aws.Credentials{}, time.Time{}, fault.New(fault.Backend, "aws.assume", "STS refused the role of connection %s: %s", connection, within(answer.Error, " .", 1, 64))
	}
	return aws.Credentials{AccessKeyID: k.AccessKeyID, SecretAccessKey: k.SecretAccessKey, SessionToken: k.SessionToken}, k.Expiration, nil
}

type roleKeys struct {
	AccessKeyID     string    `xml:"AccessKeyId"`
	SecretAccessKey string    `xml:"SecretAccessKey"`
	SessionToken    string    `xml:"SessionToken"`
	Expiration      time.Time `xml:"Expiration"`
}
