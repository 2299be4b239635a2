// Command awsmodels writes the table of AWS services that the gateway carries: names, paths and places of parameters, read
// from the service descriptions that botocore publishes. It keeps facts only, none of their prose.
//
//	awsmodels -from /usr/lib/python3/dist-packages/botocore/data -to internal/protocol/aws/models/services.txt.gz
//
// internal/protocol/aws/model.go says how the table reads. The same descriptions give the same bytes.
package main

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

type service struct {
	Metadata struct {
		APIVersion, EndpointPrefix, JSONVersion, Protocol, SigningName, TargetPrefix string
		Protocols                                                                    []string
		AWSQueryCompatible                                                           *struct{}
	}
	Operations map[string]operation
	Shapes     map[string]shape
}

type operation struct {
	Name     string
	HTTP     struct{ Method, RequestURI string }
	Input    *struct{ Shape string }
	Output   *struct{ Shape string }
	AuthType string
	Auth     []string
	Endpoint struct{ HostPrefix string }
}

type shape struct {
	Type        string
	Payload     string
	Required    []string
	Streaming   bool
	EventStream bool
	Sensitive   bool
	Flattened   bool
	Member      member
	Members     map[string]member
}

type member struct {
	Shape, Location, LocationName, QueryName string
	Streaming, EventStream                   bool
}

type global struct{ host, region string }

func main() {
	from := flag.String("from", "", "botocore's folder data")
	to := flag.String("to", "", "the table to write")
	flag.Parse()
	if err := run(*from, *to); err != nil {
		fmt.Fprintln(os.Stderr, "awsmodels:", err)
		os.Exit(1)
	}
}

func run(from, to string) error {
	globals, err := readGlobals(filepath.Join(from, "endpoints.json"))
	if err != nil {
		return err
	}
	folders, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	var table bytes.Buffer
	services, operations := 0, 0
	for _, f := range folders {
		s, err := readService(filepath.Join(from, f.Name()))
		if err != nil {
			return err
		}
		if s == nil {
			continue
		}
		services++
		operations += len(s.Operations)
		write(&table, f.Name(), s, globals)
	}
	if services == 0 {
		return fmt.Errorf("no service description below %q", from)
	}
	fmt.Fprintf(os.Stderr, "%d services, %d operations\n", services, operations)
	return pack(to, table.Bytes())
}

// readService reads the newest version of a service's description; nil where the folder holds none.
func readService(folder string) (*service, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*", "service-2.json*"))
	if err != nil || len(files) == 0 {
		return nil, err
	}
	s := new(service)
	return s, readJSON(slices.Max(files), s)
}

func readJSON(name string, into any) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was only read
	var r io.Reader = f
	if strings.HasSuffix(name, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := json.NewDecoder(r).Decode(into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// readGlobals finds the services that have one host for all regions of the first partition.
func readGlobals(name string) (map[string]global, error) {
	if _, err := os.Stat(name); err != nil {
		name += ".gz"
	}
	var file struct {
		Partitions []struct {
			Services map[string]struct {
				PartitionEndpoint string
				IsRegionalized    *bool
				Endpoints         map[string]struct {
					Hostname        string
					CredentialScope struct{ Region string }
				}
			}
		}
	}
	if err := readJSON(name, &file); err != nil {
		return nil, err
	}
	all := map[string]global{}
	for id, s := range file.Partitions[0].Services {
		if e, ok := s.Endpoints[s.PartitionEndpoint]; ok && s.IsRegionalized != nil && !*s.IsRegionalized {
			all[id] = global{e.Hostname, e.CredentialScope.Region}
		}
	}
	return all, nil
}

func write(w *bytes.Buffer, id string, s *service, globals map[string]global) {
	m := s.Metadata
	protocols := m.Protocols
	if len(protocols) == 0 {
		protocols = []string{m.Protocol}
	}
	if m.AWSQueryCompatible != nil && !slices.Contains(protocols, "query") {
		protocols = append(protocols, "query") // SDKs of before it moved still speak it
	}
	g := globals[m.EndpointPrefix]
	row(w, "=", id, m.EndpointPrefix, cmp.Or(m.SigningName, m.EndpointPrefix), strings.Join(protocols, ","), m.TargetPrefix,
		m.APIVersion, g.host, g.region, strings.Join(s.sensitive(), " "))
	rest := strings.HasPrefix(m.Protocol, "rest-")
	for _, name := range slices.Sorted(maps.Keys(s.Operations)) {
		o := s.Operations[name]
		method, path, places := "", "", []string(nil)
		if rest {
			method, path, places = o.HTTP.Method, o.HTTP.RequestURI, s.places(o)
		}
		row(w, name, method, path, s.flags(o), o.Endpoint.HostPrefix, strings.Join(append(places, s.members(o)...), " "))
	}
}

// sensitive lists the members that hold secrets, by the names they have in bodies.
func (s *service) sensitive() []string {
	names := map[string]bool{}
	for _, sh := range s.Shapes {
		for name, m := range sh.Members {
			if s.Shapes[m.Shape].Sensitive {
				names[cmp.Or(m.LocationName, name)] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func row(w *bytes.Buffer, cells ...string) {
	w.WriteString(strings.TrimRight(strings.Join(cells, "\t"), "\t"))
	w.WriteByte('\n')
}

// flags says what stands in the bodies: i and o where the input and the output are bytes, e and s where they are streams of
// events, n where the call needs no credentials.
func (s *service) flags(o operation) string {
	in, out := s.payload(o.Input), s.payload(o.Output)
	var f strings.Builder
	for _, flag := range []struct {
		on   bool
		name byte
	}{
		{in == "bytes", 'i'}, {out == "bytes", 'o'}, {in == "events", 'e'}, {out == "events", 's'},
		{o.AuthType == "none" || slices.Equal(o.Auth, []string{"smithy.api#noAuth"}), 'n'},
	} {
		if flag.on {
			f.WriteByte(flag.name)
		}
	}
	return f.String()
}

func (s *service) payload(ref *struct{ Shape string }) string {
	if ref == nil {
		return ""
	}
	sh := s.Shapes[ref.Shape]
	for _, m := range sh.Members {
		if m.EventStream || s.Shapes[m.Shape].EventStream {
			return "events"
		}
	}
	m, ok := sh.Members[sh.Payload]
	if !ok {
		return ""
	}
	target := s.Shapes[m.Shape]
	if m.Streaming || target.Streaming || target.Type == "blob" || target.Type == "string" {
		return "bytes"
	}
	return ""
}

// places lists what stands outside of the body: ?name and !name for query parameters that may and that must be there, with [] behind
// those that may stand there more than once, ?* where any name may, ^name for headers that must.
func (s *service) places(o operation) []string {
	if o.Input == nil {
		return nil
	}
	sh := s.Shapes[o.Input.Shape]
	var all []string
	for name, m := range sh.Members {
		at, must := cmp.Or(m.LocationName, name), slices.Contains(sh.Required, name)
		if s.Shapes[m.Shape].Type == "list" && m.Location == "querystring" {
			at += "[]"
		}
		switch {
		case m.Location == "querystring" && s.Shapes[m.Shape].Type == "map":
			all = append(all, "?*")
		case m.Location == "querystring" && must:
			all = append(all, "!"+at)
		case m.Location == "querystring":
			all = append(all, "?"+at)
		case m.Location == "header" && must:
			all = append(all, "^"+strings.ToLower(at))
		}
	}
	slices.Sort(all)
	return all
}

// members lists what stands in the body, by the names that it has there: +name for each parameter, + alone where there is none.
func (s *service) members(o operation) []string {
	all := []string{"+"}
	if o.Input == nil {
		return all
	}
	sh := s.Shapes[o.Input.Shape]
	if payload, ok := sh.Members[sh.Payload]; ok {
		sh = s.Shapes[payload.Shape]
	}
	for name, m := range sh.Members {
		if m.Location != "" {
			continue
		}
		at := cmp.Or(m.LocationName, name)
		if list := s.Shapes[m.Shape]; strings.HasPrefix(s.Metadata.Protocol, "rest-xml") && list.Flattened {
			at = cmp.Or(list.Member.LocationName, at)
		}
		if s.Metadata.Protocol == "ec2" {
			at = cmp.Or(m.QueryName, strings.ToUpper(at[:1])+at[1:])
		}
		all = append(all, "+"+at)
	}
	if len(all) > 1 {
		all = all[1:]
	}
	slices.Sort(all)
	return all
}

func pack(to string, table []byte) error {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := z.Write(table); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%d bytes, %d packed\n", len(table), out.Len())
	return os.WriteFile(to, out.Bytes(), 0o644) //nolint:gosec // it is committed for all to read
}
