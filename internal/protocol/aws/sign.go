package aws

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
)

// The words that stand for a digest in signatures.
const (
	unsignedPayload = "UNSIGNED-PAYLOAD"
	unsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
)

// signing returns what signs the call again, with credentials that the account knows.
func (v *visit) signing() (gate.Signer, error) {
	digest, err := v.digest()
	if err != nil {
		return nil, err
	}
	service, region := v.c.scope.Service, v.c.region
	assumed, err := v.p.roles.credentials(v)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, r *http.Request, c gate.Credential) error {
		keys := assumed
		if keys == nil {
			k, err := static(c)
			if err != nil {
				return err
			}
			keys = &k
		}
		v.keys = *keys
		r.Header.Set("X-Amz-Content-Sha256", digest)
		if v.c.scope.Regions != "" {
			return signAsymmetric(r, *keys, digest, service, v.c.scope.Regions, v.p.clock(), v.p.random)
		}
		return v.p.sign(ctx, r, *keys, digest, service, region)
	}, nil
}

// sign puts a signature of version 4 into a request.
func (p *protocol) sign(ctx context.Context, r *http.Request, keys aws.Credentials, digest, service, region string) error {
	err := p.signer.SignHTTP(ctx, keys, r, digest, service, region, p.clock(), func(o *v4.SignerOptions) {
		o.DisableURIPathEscaping = service == "s3" // whose paths are encoded once
	})
	if err != nil {
		return fault.Wrap(fault.Unavailable, "aws.sign", err, "the call could not be signed")
	}
	return nil
}

// digest is what the signature says of the body.
func (v *visit) digest() (string, error) {
	switch {
	case v.body.whole:
		return v.body.digest, nil
	case v.body.size == 0:
		sum := sha256.Sum256(nil)
		return hex.EncodeToString(sum[:]), nil
	case v.body.digest != "":
		return v.body.digest, nil // the backend compares
	}
	o := v.conn.AWS
	if o != nil && (o.Unsigned == "refuse" || o.Unsigned == "" && !v.secure()) {
		return "", &fault.Error{Op: "aws.digest", Kind: fault.Denied, Say: "connection " + v.conn.Name + " sends no body on without a digest of it in the signature",
			Hint: "Let the SDK sign its payloads, or set aws.unsigned: allow."}
	}
	if v.body.framed != nil && v.body.framed.trailer != "" {
		return unsignedTrailer, nil
	}
	return unsignedPayload, nil
}

func (v *visit) secure() bool {
	u, err := v.backend()
	return err == nil && u.Scheme == "https"
}

// static reads the credential of a connection: user and secret, or a secret that is a JSON object with both.
func static(c gate.Credential) (aws.Credentials, error) {
	secret := c.Password.Reveal()
	if len(secret) == 0 {
		return aws.Credentials{}, fault.New(fault.Unavailable, "aws.static", "the connection has no credential")
	}
	if secret[0] != '{' {
		return aws.Credentials{AccessKeyID: c.User, SecretAccessKey: strings.TrimSpace(string(secret))}, nil
	}
	var k struct {
		AccessKeyID     string `json:"access_key_id"`
		SecretAccessKey string `json:"secret_access_key"`
		SessionToken    string `json:"session_token"`
	}
	if err := json.Unmarshal(secret, &k); err != nil || k.AccessKeyID == "" || k.SecretAccessKey == "" {
		return aws.Credentials{}, fault.New(fault.Unavailable, "aws.static", "the connection's credential is no JSON object with access_key_id and secret_access_key")
	}
	return aws.Credentials{AccessKeyID: k.AccessKeyID, SecretAccessKey: k.SecretAccessKey, SessionToken: k.SessionToken}, nil
}
