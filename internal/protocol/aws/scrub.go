package aws

import (
	"net/http"

	"gatehouse/internal/fault"
	"gatehouse/internal/wire/exchange"
)

// scrub hides the credential in an answer, should a backend repeat what it was sent: of a signed request that is the session token; the
// secret key is never sent, and hidden all the same. An answer that is packed, though nobody asked for that, is unpacked: it could not be
// found there. What an object in S3 holds passes as it was stored: nobody who stores one knows the credential.
func (v *visit) scrub(resp *http.Response) error {
	v.echo = v.p.echoes.Of([]byte(v.keys.SessionToken), []byte(v.keys.SecretAccessKey))
	if v.echo == nil {
		return nil
	}
	v.echo.Header(resp.Header)
	v.echo.Header(resp.Trailer) // whose names are announced
	packed := unframed(resp.Header.Get("Content-Encoding"))
	stored := v.c.service != nil && v.c.service.id == "s3" && resp.StatusCode < http.StatusMultipleChoices
	if packed != "" && packed != "identity" && !stored && v.r.Method != http.MethodHead && resp.StatusCode != http.StatusNotModified {
		if exchange.Unpack(resp, &v.p.coder, packed) != nil {
			return fault.New(fault.Backend, "aws.scrub", "the answer has an encoding that the gateway cannot read")
		}
		underived(resp.Header)
	}
	resp.Body = v.scrubbed.Of(v.echo, resp.Body, v.p.buffers)
	return nil
}
