package aws

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// scrubbed hides the credential in an answer, should a backend repeat what it was sent: each occurrence becomes as many
// asterisks. Of a signed request that is the session token; the secret key is never sent, and hidden all the same.
type scrubbed struct {
	io.ReadCloser
	secrets [][]byte
	held    []byte // read, and not yet given
	ready   int    // of held, that may be given
	err     error
}

const leastSecret = 8 // shorter ones stand in texts by chance

// secretsOf are the forms in which a backend could repeat a credential.
func secretsOf(keys aws.Credentials) [][]byte {
	var list [][]byte
	for _, s := range [...]string{keys.SessionToken, keys.SecretAccessKey} {
		if len(s) < leastSecret {
			continue
		}
		list = append(list, []byte(s))
		if e := url.QueryEscape(s); e != s {
			list = append(list, []byte(e))
		}
	}
	return list
}

// scrub hides the credential in an answer.
func scrub(resp *http.Response, keys aws.Credentials) {
	secrets := secretsOf(keys)
	if len(secrets) == 0 {
		return
	}
	for _, values := range resp.Header {
		for i, v := range values {
			for _, s := range secrets {
				values[i] = strings.ReplaceAll(v, string(s), strings.Repeat("*", len(s)))
				v = values[i]
			}
		}
	}
	resp.Body = &scrubbed{ReadCloser: resp.Body, secrets: secrets}
}

// Read implements io.Reader.
func (s *scrubbed) Read(b []byte) (int, error) {
	for s.ready == 0 {
		if s.err != nil {
			return 0, s.err
		}
		s.fill(len(b))
	}
	n := copy(b, s.held[:s.ready])
	s.held = s.held[n:]
	s.ready -= n
	return n, nil
}

// fill reads more, and finds how much of it cannot be the beginning of a secret.
func (s *scrubbed) fill(size int) {
	rest := len(s.held)
	grown := make([]byte, rest+max(size, 512))
	copy(grown, s.held)
	n, err := s.ReadCloser.Read(grown[rest:])
	s.held, s.err = grown[:rest+n], err
	for _, secret := range s.secrets {
		for at := 0; ; {
			i := bytes.Index(s.held[at:], secret)
			if i < 0 {
				break
			}
			at += i
			for j := range secret {
				s.held[at+j] = '*'
			}
		}
	}
	s.ready = len(s.held)
	if err != nil {
		return
	}
	for _, secret := range s.secrets {
		s.ready = min(s.ready, len(s.held)-begun(s.held, secret))
	}
}

// begun is how many bytes at the end of b are the beginning of a secret.
func begun(b, secret []byte) int {
	for n := min(len(secret)-1, len(b)); n > 0; n-- {
		tail := b[len(b)-n:]
		if tail[0] == secret[0] && bytes.HasPrefix(secret, tail) {
			return n
		}
	}
	return 0
}
