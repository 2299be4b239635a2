package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// odd are keys that a sloppy proxy would change.
var odd = []string{"a b.txt", "snow ☃ é.txt", "plus+sign", "per%cent%20", "equals=and&amp", "semi;colon,comma", "quote'\"s", "star*(1)!~", "a:b@c$d", "ends with dot."}

func (p *program) objects() {
	bucket := aws.String(p.name)
	p.do("buckets", func() (string, error) {
		if _, err := p.s3.CreateBucket(p.ctx, &s3.CreateBucketInput{Bucket: bucket}); err != nil {
			return "", err
		}
		if _, err := p.s3.HeadBucket(p.ctx, &s3.HeadBucketInput{Bucket: bucket}); err != nil {
			return "", err
		}
		out, err := p.s3.ListBuckets(p.ctx, &s3.ListBucketsInput{})
		if err != nil {
			return "", err
		}
		for _, b := range out.Buckets {
			if aws.ToString(b.Name) == p.name {
				return "", nil
			}
		}
		return "", errors.New("it is not in the list")
	})
	p.do("objects", p.object)
	p.do("lists", p.lists)
	p.do("copies", p.copies)
	p.do("ranges", p.ranges)
	p.do("multipart", p.multipart)
	p.do("checksums", p.checksums)
	p.do("names", p.names)
	p.do("conditions", p.conditions)
	p.do("presigned", p.presigned)
	p.do("errors", p.errors)
	p.do("large", func() (string, error) { return "", p.large(64 << 20) })
}

func (p *program) put(key, body string) (*s3.PutObjectOutput, error) {
	return p.s3.PutObject(p.ctx, &s3.PutObjectInput{Bucket: &p.name, Key: &key, Body: strings.NewReader(body)})
}

func (p *program) get(key string) (string, *s3.GetObjectOutput, error) {
	out, err := p.s3.GetObject(p.ctx, &s3.GetObjectInput{Bucket: &p.name, Key: &key})
	if err != nil {
		return "", nil, err
	}
	defer func() { _ = out.Body.Close() }()
	body, err := io.ReadAll(out.Body)
	return string(body), out, err
}

func (p *program) object() (string, error) {
	key := "dir/object.json"
	in, err := p.s3.PutObject(p.ctx, &s3.PutObjectInput{Bucket: &p.name, Key: &key, Body: strings.NewReader(`{"a":1}`),
		ContentType: aws.String("application/json"), Metadata: map[string]string{"owner": "me  and you"}})
	if err != nil {
		return "", err
	}
	body, out, err := p.get(key)
	if err != nil {
		return "", err
	}
	head, err := p.s3.HeadObject(p.ctx, &s3.HeadObjectInput{Bucket: &p.name, Key: &key})
	if err != nil {
		return "", err
	}
	saw := fmt.Sprint(body, aws.ToString(in.ETag), aws.ToString(out.ETag), aws.ToString(head.ETag), aws.ToString(out.ContentType), aws.ToInt64(head.ContentLength), out.Metadata, head.Metadata)
	if _, err := p.put("empty", ""); err != nil {
		return "", err
	}
	if body, _, err := p.get("empty"); err != nil || body != "" {
		return "", fmt.Errorf("an empty object is %q, %w", body, err)
	}
	if _, err := p.s3.DeleteObject(p.ctx, &s3.DeleteObjectInput{Bucket: &p.name, Key: &key}); err != nil {
		return "", err
	}
	_, err = p.s3.HeadObject(p.ctx, &s3.HeadObjectInput{Bucket: &p.name, Key: &key})
	return saw, want(code(err), "NotFound")
}

func (p *program) lists() (string, error) {
	for _, k := range []string{"l/a", "l/b/1", "l/b/2", "l/c d", "l/e"} {
		if _, err := p.put(k, k); err != nil {
			return "", err
		}
	}
	one, err := p.s3.ListObjects(p.ctx, &s3.ListObjectsInput{Bucket: &p.name, Prefix: aws.String("l/"), Delimiter: aws.String("/")})
	if err != nil {
		return "", err
	}
	saw := fmt.Sprint(len(one.CommonPrefixes), " ")
	for _, o := range one.Contents {
		saw += aws.ToString(o.Key) + " "
	}
	pages := s3.NewListObjectsV2Paginator(p.s3, &s3.ListObjectsV2Input{Bucket: &p.name, Prefix: aws.String("l/"), MaxKeys: aws.Int32(2)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(p.ctx)
		if err != nil {
			return "", err
		}
		for _, o := range page.Contents {
			saw += aws.ToString(o.Key) + ","
		}
		saw += ";"
	}
	var ids []types.ObjectIdentifier
	for _, k := range []string{"l/a", "l/c d"} {
		ids = append(ids, types.ObjectIdentifier{Key: &k})
	}
	del, err := p.s3.DeleteObjects(p.ctx, &s3.DeleteObjectsInput{Bucket: &p.name, Delete: &types.Delete{Objects: ids}})
	if err != nil {
		return "", err
	}
	return saw, want(fmt.Sprint(len(del.Deleted), len(del.Errors)), "2 0")
}

func (p *program) copies() (string, error) {
	if _, err := p.put("from here", "copied"); err != nil {
		return "", err
	}
	if _, err := p.s3.CopyObject(p.ctx, &s3.CopyObjectInput{Bucket: &p.name, Key: aws.String("to/here"), CopySource: aws.String(p.name + "/from%20here")}); err != nil {
		return "", err
	}
	body, _, err := p.get("to/here")
	return body, errors.Join(err, want(body, "copied"))
}

func (p *program) ranges() (string, error) {
	if _, err := p.put("digits", "0123456789"); err != nil {
		return "", err
	}
	saw := ""
	for _, r := range []string{"bytes=2-4", "bytes=-3", "bytes=7-"} {
		out, err := p.s3.GetObject(p.ctx, &s3.GetObjectInput{Bucket: &p.name, Key: aws.String("digits"), Range: &r})
		if err != nil {
			return "", err
		}
		body, err := io.ReadAll(out.Body)
		_ = out.Body.Close()
		if err != nil {
			return "", err
		}
		saw += fmt.Sprintf("%s %s;", body, aws.ToString(out.ContentRange))
	}
	return saw, nil
}

func (p *program) multipart() (string, error) {
	key := "parts"
	up, err := p.s3.CreateMultipartUpload(p.ctx, &s3.CreateMultipartUploadInput{Bucket: &p.name, Key: &key, ChecksumAlgorithm: types.ChecksumAlgorithmCrc32})
	if err != nil {
		return "", err
	}
	var done []types.CompletedPart
	for i, part := range [][]byte{bytes.Repeat([]byte("a"), 5<<20), bytes.Repeat([]byte("b"), 1<<20)} {
		n := aws.Int32(int32(i + 1))
		out, err := p.s3.UploadPart(p.ctx, &s3.UploadPartInput{Bucket: &p.name, Key: &key, UploadId: up.UploadId, PartNumber: n, Body: bytes.NewReader(part)})
		if err != nil {
			return "", err
		}
		done = append(done, types.CompletedPart{ETag: out.ETag, PartNumber: n, ChecksumCRC32: out.ChecksumCRC32})
	}
	if _, err = p.s3.CompleteMultipartUpload(p.ctx, &s3.CompleteMultipartUploadInput{Bucket: &p.name, Key: &key, UploadId: up.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: done}}); err != nil {
		return "", err
	}
	body, out, err := p.get(key)
	if err != nil {
		return "", err
	}
	aborted, err := p.s3.CreateMultipartUpload(p.ctx, &s3.CreateMultipartUploadInput{Bucket: &p.name, Key: &key})
	if err != nil {
		return "", err
	}
	if _, err = p.s3.AbortMultipartUpload(p.ctx, &s3.AbortMultipartUploadInput{Bucket: &p.name, Key: &key, UploadId: aborted.UploadId}); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x %s", sha256.Sum256([]byte(body)), aws.ToString(out.ETag)), nil
}

func (p *program) checksums() (string, error) {
	saw := ""
	for _, alg := range []types.ChecksumAlgorithm{types.ChecksumAlgorithmCrc32, types.ChecksumAlgorithmCrc32c, types.ChecksumAlgorithmCrc64nvme, types.ChecksumAlgorithmSha1, types.ChecksumAlgorithmSha256} {
		key := "sum-" + string(alg)
		in, err := p.s3.PutObject(p.ctx, &s3.PutObjectInput{Bucket: &p.name, Key: &key, Body: strings.NewReader("checked"), ChecksumAlgorithm: alg})
		if err != nil {
			return "", fmt.Errorf("%s: %w", alg, err)
		}
		out, err := p.s3.GetObject(p.ctx, &s3.GetObjectInput{Bucket: &p.name, Key: &key, ChecksumMode: types.ChecksumModeEnabled})
		if err != nil {
			return "", fmt.Errorf("%s: %w", alg, err)
		}
		body, err := io.ReadAll(out.Body) // the SDK checks it here
		if err != nil {
			return "", fmt.Errorf("%s: %w", alg, err)
		}
		saw += fmt.Sprint(string(body), aws.ToString(in.ChecksumCRC32), aws.ToString(out.ChecksumCRC32), aws.ToString(out.ChecksumCRC32C),
			aws.ToString(out.ChecksumCRC64NVME), aws.ToString(out.ChecksumSHA1), aws.ToString(out.ChecksumSHA256), ";")
	}
	return saw, nil
}

func (p *program) names() (string, error) {
	for _, k := range odd {
		if _, err := p.put("odd/"+k, k); err != nil {
			return "", fmt.Errorf("%q: %w", k, err)
		}
		if body, _, err := p.get("odd/" + k); err != nil || body != k {
			return "", fmt.Errorf("%q is %q, %w", k, body, err)
		}
	}
	list, err := p.s3.ListObjectsV2(p.ctx, &s3.ListObjectsV2Input{Bucket: &p.name, Prefix: aws.String("odd/")})
	if err != nil {
		return "", err
	}
	saw := ""
	for _, o := range list.Contents {
		saw += aws.ToString(o.Key) + "\n"
	}
	return saw, want(len(list.Contents), len(odd))
}

func (p *program) conditions() (string, error) {
	in, err := p.put("once", "1")
	if err != nil {
		return "", err
	}
	_, err = p.s3.PutObject(p.ctx, &s3.PutObjectInput{Bucket: &p.name, Key: aws.String("once"), Body: strings.NewReader("2"), IfNoneMatch: aws.String("*")})
	if err := want(code(err), "PreconditionFailed"); err != nil {
		return "", err
	}
	_, err = p.s3.GetObject(p.ctx, &s3.GetObjectInput{Bucket: &p.name, Key: aws.String("once"), IfNoneMatch: in.ETag})
	if err := want(code(err), "NotModified"); err != nil {
		return "", err
	}
	_, err = p.s3.GetObject(p.ctx, &s3.GetObjectInput{Bucket: &p.name, Key: aws.String("once"), IfMatch: aws.String(`"0"`)})
	return "", want(code(err), "PreconditionFailed")
}

// presign is a URL for a key, made without any call.
func (p *program) presign(key string) (*v4.PresignedHTTPRequest, error) {
	return s3.NewPresignClient(p.s3).PresignGetObject(p.ctx, &s3.GetObjectInput{Bucket: &p.name, Key: &key})
}

func (p *program) presigned() (string, error) {
	if _, err := p.put("pre signed", "by URL"); err != nil {
		return "", err
	}
	u, err := p.presign("pre signed")
	if err != nil {
		return "", err
	}
	client, err := trusting()
	if err != nil {
		return "", err
	}
	resp, err := client.Get(u.URL)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return string(body), errors.Join(err, want(resp.StatusCode, http.StatusOK))
}

func (p *program) errors() (string, error) {
	_, _, err := p.get("nothing here")
	var typed *types.NoSuchKey
	if !errors.As(err, &typed) {
		return "", fmt.Errorf("not typed: %w", err)
	}
	_, err = p.s3.ListObjectsV2(p.ctx, &s3.ListObjectsV2Input{Bucket: aws.String(p.name + "-none")})
	return "", want(code(err), "NoSuchBucket")
}

// large streams so many bytes up and down.
func (p *program) large(size int64) error {
	up := sha256.New()
	body := io.TeeReader(io.LimitReader(&counter{}, size), up)
	if _, err := p.s3.PutObject(p.ctx, &s3.PutObjectInput{Bucket: &p.name, Key: aws.String("large"), Body: body, ContentLength: &size}, func(o *s3.Options) {
		o.RetryMaxAttempts = 1
	}); err != nil {
		return fmt.Errorf("up: %w", err)
	}
	out, err := p.s3.GetObject(p.ctx, &s3.GetObjectInput{Bucket: &p.name, Key: aws.String("large")})
	if err != nil {
		return fmt.Errorf("down: %w", err)
	}
	defer func() { _ = out.Body.Close() }()
	down := sha256.New()
	if n, err := io.Copy(down, out.Body); err != nil || n != size {
		return fmt.Errorf("down: %d bytes, %w", n, err)
	}
	return want(fmt.Sprintf("%x", down.Sum(nil)), fmt.Sprintf("%x", up.Sum(nil)))
}

// counter is bytes without end that do not repeat soon.
type counter struct{ n uint64 }

func (c *counter) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(c.n * 0x9e3779b97f4a7c15 >> 56)
		c.n++
	}
	return len(b), nil
}

// trusting is a client of HTTP that trusts what AWS_CA_BUNDLE says.
func trusting() (*http.Client, error) {
	pem, err := os.ReadFile(os.Getenv("AWS_CA_BUNDLE"))
	if err != nil {
		return nil, err
	}
	return clientOf(pem), nil
}
