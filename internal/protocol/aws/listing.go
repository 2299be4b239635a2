package aws

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"net/url"
	"slices"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// listings are the calls whose answers tell of objects that they do not name: of each its digest and its length.
var listings = []string{"ListObjects", "ListObjectsV2", "ListObjectVersions"}

// within tells which of the objects in a listing are masked; nil where the call is none, or no object can be.
func (c *call) within(m access.Masks) func(key string) bool {
	if c.operation == nil || c.service.id != "s3" || !slices.Contains(listings, c.operation.name) {
		return nil
	}
	bucket, err := c.bucketARN(c.labels["Bucket"])
	if err != nil || bucket == "" {
		return nil
	}
	if b, tells := m.(interface{ Below(prefix string) bool }); tells && m.Document(c.resource(bucket), access.ToClient).None() && !b.Below(c.resource(bucket+"/")) {
		return nil
	}
	return func(key string) bool {
		for _, name := range [...]string{key, unescaped(key)} {
			if !m.Document(c.resource(objectARN(bucket, name)), access.ToClient).None() {
				return true
			}
		}
		return false
	}
}

func unescaped(key string) string {
	if s, err := url.QueryUnescape(key); err == nil {
		return s
	}
	return key
}

// listed writes a listing in which masked objects have no digest, and the length 0.
func (v *visit) listed(b []byte) ([]byte, int64, error) {
	out, hits, err := unlist(b, v.hide.within)
	if err != nil {
		return nil, 0, unmaskable("it is no list of objects that can be read")
	}
	return out, hits, nil
}

// cut is a part of a listing, and what stands there instead.
type cut struct {
	from, to int64
	with     string
}

// unlist takes what tells of their contents off the objects of a listing that are masked.
func unlist(b []byte, masked func(key string) bool) (out []byte, hits int64, err error) {
	d := xml.NewDecoder(bytes.NewReader(b))
	var path []string
	var cuts, object []cut
	var key strings.Builder
	began := int64(0)
	for {
		before := d.InputOffset()
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, 0, fault.Wrap(fault.Backend, "aws.unlist", err, "the list cannot be read")
		}
		switch t := t.(type) {
		case xml.StartElement:
			path = append(path, t.Name.Local)
			switch inObject := len(path) > 1 && (path[1] == "Contents" || path[1] == "Version"); {
			case inObject && len(path) == 2:
				object, began = nil, before
				key.Reset()
			case inObject && len(path) == 3:
				began = before
			}
		case xml.CharData:
			if len(path) == 3 && path[2] == "Key" {
				key.Write(t)
			}
		case xml.EndElement:
			if len(path) == 3 && (path[1] == "Contents" || path[1] == "Version") {
				switch name := path[2]; {
				case name == "ETag" || strings.HasPrefix(name, "Checksum"):
					object = append(object, cut{began, d.InputOffset(), ""})
				case name == "Size":
					object = append(object, cut{began, d.InputOffset(), "<Size>0</Size>"})
				}
			}
			if len(path) == 2 && len(object) > 0 && masked(key.String()) {
				cuts = append(cuts, object...)
				object = nil
				hits++
			}
			path = path[:len(path)-1]
		}
	}
	at := int64(0)
	for _, c := range cuts {
		out = append(append(out, b[at:c.from]...), c.with...)
		at = c.to
	}
	return append(out, b[at:]...), hits, nil
}
