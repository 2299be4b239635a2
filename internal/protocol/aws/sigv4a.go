package aws

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"gatehouse/internal/fault"
)

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// deriveKey makes the key of SigV4A from a secret: NIST SP 800-108 in counter mode with HMAC-SHA256, counted on until the
// number lies below the order of P-256, less one.
func deriveKey(keys aws.Credentials) (*ecdsa.PrivateKey, error) {
	curve := elliptic.P256()
	limit := new(big.Int).Sub(curve.Params().N, big.NewInt(2))
	for counter := 1; counter <= 254; counter++ {
		h := hmac.New(sha256.New, []byte("AWS4A"+keys.SecretAccessKey))
		h.Write([]byte{0, 0, 0, 1})
		h.Write([]byte(sigV4A))
		h.Write([]byte{0})
		h.Write([]byte(keys.AccessKeyID))
		h.Write([]byte{byte(counter), 0, 0, 1, 0})
		if c := new(big.Int).SetBytes(h.Sum(nil)); c.Cmp(limit) <= 0 {
			d := c.Add(c, big.NewInt(1))
			raw := make([]byte, 32)
			key, err := ecdsa.ParseRawPrivateKey(curve, d.FillBytes(raw))
			if err != nil {
				return nil, fmt.Errorf("derive the key of SigV4A: %w", err)
			}
			return key, nil
		}
	}
	return nil, fmt.Errorf("derive the key of SigV4A: no number fits")
}

// signAsymmetric puts a signature of version 4A, which holds in a set of regions, into a request.
func signAsymmetric(r *http.Request, keys aws.Credentials, digest, service, regions string, now time.Time, random io.Reader) error {
	key, err := deriveKey(keys)
	if err != nil {
		return fault.Wrap(fault.Unavailable, "aws.sign", err, "the call could not be signed")
	}
	now = now.UTC()
	stamp := now.Format("20060102T150405Z")
	r.Header.Set("X-Amz-Date", stamp)
	r.Header.Set("X-Amz-Region-Set", regions)
	if keys.SessionToken != "" {
		r.Header.Set("X-Amz-Security-Token", keys.SessionToken)
	}
	canonical, signed := canonicalRequest(r, digest, service == "s3")
	scope := now.Format("20060102") + "/" + service + "/aws4_request"
	sum := sha256.Sum256([]byte(sigV4A + "\n" + stamp + "\n" + scope + "\n" + digestOf([]byte(canonical))))
	signature, err := ecdsa.SignASN1(random, key, sum[:])
	if err != nil {
		return fault.Wrap(fault.Unavailable, "aws.sign", err, "the call could not be signed")
	}
	r.Header.Set("Authorization", sigV4A+" Credential="+keys.AccessKeyID+"/"+scope+", SignedHeaders="+signed+", Signature="+hex.EncodeToString(signature))
	return nil
}

// canonicalRequest is what a signature is of. Every header that is sent is signed, but for those that hops may change.
func canonicalRequest(r *http.Request, digest string, once bool) (canonical, signed string) {
	headers := map[string]string{"host": r.URL.Host}
	if r.Host != "" {
		headers["host"] = r.Host
	}
	for name, values := range r.Header {
		switch lower := strings.ToLower(name); lower {
		case "authorization", "user-agent", "x-amzn-trace-id", "expect", "accept-encoding", "transfer-encoding":
		default:
			trimmed := make([]string, len(values))
			for i, v := range values {
				trimmed[i] = strings.Join(strings.Fields(v), " ")
			}
			headers[lower] = strings.Join(trimmed, ",")
		}
	}
	var names []string
	for name := range headers {
		names = append(names, name)
	}
	slices.Sort(names)
	var b strings.Builder
	path := r.URL.EscapedPath()
	if !once {
		path = encode(path, true)
	}
	b.WriteString(r.Method + "\n" + path + "\n" + r.URL.RawQuery + "\n")
	for _, name := range names {
		b.WriteString(name + ":" + headers[name] + "\n")
	}
	signed = strings.Join(names, ";")
	b.WriteString("\n" + signed + "\n" + digest)
	return b.String(), signed
}
