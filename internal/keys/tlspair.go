package keys

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"gatehouse/internal/fault"
)

const (
	caYears     = 10
	leafLife    = 365 * 24 * time.Hour
	renewBefore = 30 * 24 * time.Hour
	backdate    = time.Hour // clients' clocks may run behind
)

// The files that ServerTLS keeps in its directory.
const (
	CAFile         = "ca.pem" // what clients trust: sslrootcert and the like
	caKeyFile      = "ca.key"
	serverFile     = "server.pem"
	serverKeyFile  = "server.key"
	blockCert      = "CERTIFICATE"
	blockKey       = "PRIVATE KEY" // PKCS #8, RFC 5208
	serialBits     = 127           // RFC 5280 §4.1.2.2: positive, at most 20 octets
	authorityName  = "Gatehouse local CA"
	authorityNoted = "remove " + CAFile + " and " + caKeyFile + " from %s to get a new authority, and give its certificate to the clients (gatehouse ca print)"
)

// ServerTLS returns a server certificate, its key, and the certificate of the local authority that signed it,
// all PEM, from the files in dir. What is missing is made: an authority (ECDSA P-256, 10 years) and a server certificate
// (1 year) for localhost, the loopback addresses, the machine's name and names, which may be host names or IP addresses.
// The server certificate is made anew when less than 30 days of it are left, when names are missing from it, or when it
// does not fit its key or the authority; the authority stays. Errors are fault.Unavailable and say what to do.
func ServerTLS(dir string, names []string, clock func() time.Time, random io.Reader) (certPEM, keyPEM, caPEM []byte, err error) {
	if err := privateDir(dir); err != nil {
		return nil, nil, nil, err
	}
	ca, err := loadAuthority(dir, clock(), random)
	if err != nil {
		return nil, nil, nil, err
	}
	names, err = serverNames(names)
	if err != nil {
		return nil, nil, nil, err
	}
	certPEM, keyPEM, err = loadServer(dir, ca, names, clock())
	if err == nil {
		return certPEM, keyPEM, ca.pem, nil
	}
	if !errors.Is(err, errStale) && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil, err
	}
	certPEM, keyPEM, err = makeServer(dir, ca, names, clock(), random)
	return certPEM, keyPEM, ca.pem, err
}

// errStale says that the server certificate should be made anew.
var errStale = errors.New("stale certificate")

type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
	pem  []byte
}

// loadAuthority reads the authority, or makes one where neither of its files exists.
func loadAuthority(dir string, now time.Time, random io.Reader) (*authority, error) {
	const op = "keys.loadAuthority"
	certPath, keyPath := filepath.Join(dir, CAFile), filepath.Join(dir, caKeyFile)
	keyPEM, err := readPrivate(keyPath)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(certPath); err == nil {
			return nil, fault.New(fault.Unavailable, op, "%s exists but its key %s does not: restore it, or "+authorityNoted, certPath, keyPath, dir)
		}
		return makeAuthority(certPath, keyPath, now, random)
	}
	if err != nil {
		return nil, err
	}
	certPEM, err := os.ReadFile(certPath)
	if errors.Is(err, fs.ErrNotExist) { // a first start that was cut short between the two files
		return certifyAuthority(certPath, keyPEM, now, random)
	}
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, op, err, "cannot read %s", certPath)
	}
	cert, key, err := parsePair(certPEM, keyPEM)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, op, err, "%s and %s do not belong together: restore them, or "+authorityNoted, certPath, keyPath, dir)
	}
	if now.After(cert.NotAfter) {
		return nil, fault.New(fault.Unavailable, op, "the authority %s expired on %s: "+authorityNoted, certPath, cert.NotAfter.Format(time.DateOnly), dir)
	}
	return &authority{cert, key, certPEM}, nil
}

// makeAuthority writes the key first: a certificate without its key is of no use to anyone.
func makeAuthority(certPath, keyPath string, now time.Time, random io.Reader) (*authority, error) {
	_, keyPEM, err := newKey(random)
	if err != nil {
		return nil, err
	}
	if err := createPrivate(keyPath, keyPEM); err != nil {
		return nil, err
	}
	return certifyAuthority(certPath, keyPEM, now, random)
}

func certifyAuthority(certPath string, keyPEM []byte, now time.Time, random io.Reader) (*authority, error) {
	key, err := parseKeyPEM(keyPEM)
	if err != nil {
		return nil, err
	}
	template, err := newTemplate(authorityName, now, now.AddDate(caYears, 0, 0), random)
	if err != nil {
		return nil, err
	}
	template.IsCA, template.BasicConstraintsValid, template.MaxPathLenZero = true, true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	cert, certPEM, err := sign(template, template, key, key, random)
	if err != nil {
		return nil, err
	}
	if err := writePublic(certPath, certPEM); err != nil {
		return nil, err
	}
	return &authority{cert, key, certPEM}, nil
}

// loadServer reads the server's pair. errStale is returned for one that should be replaced.
func loadServer(dir string, ca *authority, names []string, now time.Time) (certPEM, keyPEM []byte, err error) {
	if keyPEM, err = readPrivate(filepath.Join(dir, serverKeyFile)); err != nil {
		return nil, nil, err
	}
	if certPEM, err = os.ReadFile(filepath.Join(dir, serverFile)); err != nil {
		return nil, nil, errStale
	}
	cert, _, err := parsePair(certPEM, keyPEM)
	if err != nil || cert.CheckSignatureFrom(ca.cert) != nil || now.Before(cert.NotBefore) || cert.NotAfter.Sub(now) < renewBefore {
		return nil, nil, errStale
	}
	for _, n := range names {
		if cert.VerifyHostname(n) != nil {
			return nil, nil, errStale
		}
	}
	return certPEM, keyPEM, nil
}

func makeServer(dir string, ca *authority, names []string, now time.Time, random io.Reader) (certPEM, keyPEM []byte, err error) {
	key, keyPEM, err := newKey(random)
	if err != nil {
		return nil, nil, err
	}
	end := now.Add(leafLife)
	if end.After(ca.cert.NotAfter) {
		end = ca.cert.NotAfter
	}
	template, err := newTemplate("gatehouse", now, end, random)
	if err != nil {
		return nil, nil, err
	}
	template.KeyUsage, template.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	_, certPEM, err = sign(template, ca.cert, key, ca.key, random)
	if err != nil {
		return nil, nil, err
	}
	if err := replacePrivate(filepath.Join(dir, serverKeyFile), keyPEM); err != nil {
		return nil, nil, err
	}
	return certPEM, keyPEM, writePublic(filepath.Join(dir, serverFile), certPEM)
}

// serverNames adds the names by which a client on this machine reaches it. The machine's own name is left out where no
// certificate can hold it; a configured one is an error.
func serverNames(names []string) ([]string, error) {
	all := []string{"localhost", "127.0.0.1", "::1"}
	if host, err := os.Hostname(); err == nil && certifiable(host) {
		all = append(all, host)
	}
	for _, n := range names {
		if !certifiable(n) {
			return nil, fault.New(fault.Unavailable, "keys.serverNames", "%q is neither a host name nor an IP address: correct the server names in the configuration", n)
		}
		if !slices.Contains(all, n) {
			all = append(all, n)
		}
	}
	return all, nil
}

// hostName is a DNS name as certificates hold it (RFC 5280 §4.2.1.6, RFC 952), with the underscore that is seen in the wild.
var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}))*$`)

func certifiable(name string) bool {
	return net.ParseIP(name) != nil || (len(name) <= 253 && hostName.MatchString(name))
}

func newTemplate(name string, now, end time.Time, random io.Reader) (*x509.Certificate, error) {
	serial, err := rand.Int(random, new(big.Int).Lsh(big.NewInt(1), serialBits))
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "keys.newTemplate", err, "cannot read random bytes for a certificate")
	}
	return &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)),
		Subject:      pkix.Name{CommonName: name, Organization: []string{"Gatehouse"}},
		NotBefore:    now.Add(-backdate),
		NotAfter:     end,
	}, nil
}

func sign(template, parent *x509.Certificate, key, parentKey crypto.Signer, random io.Reader) (*x509.Certificate, []byte, error) {
	const op = "keys.sign"
	der, err := x509.CreateCertificate(random, template, parent, key.Public(), parentKey)
	if err != nil {
		return nil, nil, fault.Wrap(fault.Unavailable, op, err, "cannot make a certificate: check the names in the configuration")
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, fault.Wrap(fault.Internal, op, err, "cannot read back a new certificate")
	}
	return cert, pem.EncodeToMemory(&pem.Block{Type: blockCert, Bytes: der}), nil
}

func newKey(random io.Reader) (crypto.Signer, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), random)
	if err != nil {
		return nil, nil, fault.Wrap(fault.Unavailable, "keys.newKey", err, "cannot make a key")
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fault.Wrap(fault.Internal, "keys.newKey", err, "cannot encode a key")
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: blockKey, Bytes: der}), nil
}

// parsePair reads a certificate and the key that must fit it.
func parsePair(certPEM, keyPEM []byte) (*x509.Certificate, crypto.Signer, error) {
	block, _ := pem.Decode(certPEM)
	if block == nil || block.Type != blockCert {
		return nil, nil, errors.New("no PEM certificate")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, nil, err
	}
	key, err := parseKeyPEM(keyPEM)
	if err != nil {
		return nil, nil, err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil || !bytes.Equal(public, cert.RawSubjectPublicKeyInfo) {
		return nil, nil, errors.New("the key is another certificate's")
	}
	return cert, key, nil
}

func parseKeyPEM(keyPEM []byte) (crypto.Signer, error) {
	const op = "keys.parseKeyPEM"
	block, _ := pem.Decode(keyPEM)
	if block == nil || block.Type != blockKey {
		return nil, fault.New(fault.Unavailable, op, "a key file of the listeners does not hold a PEM private key: restore it from a backup")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	signer, ok := key.(crypto.Signer)
	if err != nil || !ok {
		return nil, fault.New(fault.Unavailable, op, "a key file of the listeners cannot be read: restore it from a backup")
	}
	return signer, nil
}

// writePublic replaces a file that everyone may read.
func writePublic(path string, b []byte) error {
	if err := replacePrivate(path, b); err != nil {
		return err
	}
	if err := os.Chmod(path, 0o644); err != nil { //nolint:gosec // a certificate is public
		return fault.Wrap(fault.Unavailable, "keys.writePublic", err, "cannot make %s readable", path)
	}
	return nil
}
