package grpc

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// MaxDescriptors bounds a set of descriptors, in bytes.
const MaxDescriptors = 8 << 20

// Schema is what the messages of services look like. It is immutable, but for what it remembers, and safe for concurrent use.
type Schema struct {
	files *protoregistry.Files
	types *dynamicpb.Types
	Size  int // bytes of descriptors that it was made of

	mu    sync.Mutex
	plans map[planned]*Plan
}

// Read reads a FileDescriptorSet.
func Read(b []byte) (*Schema, error) {
	var set descriptorpb.FileDescriptorSet
	if len(b) > MaxDescriptors {
		return nil, fmt.Errorf("the descriptors have more than %d bytes", MaxDescriptors)
	}
	if err := (proto.UnmarshalOptions{}).Unmarshal(b, &set); err != nil {
		return nil, errors.New("this is no FileDescriptorSet, as protoc --include_imports --descriptor_set_out writes it")
	}
	return schemaOf(&set, len(b))
}

func schemaOf(set *descriptorpb.FileDescriptorSet, size int) (*Schema, error) {
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, fmt.Errorf("the descriptors do not fit each other: %w", err)
	}
	return &Schema{files: files, types: dynamicpb.NewTypes(files), Size: size}, nil
}

// Method finds the method of a path such as /shop.Orders/Get; nil where there is none.
func (s *Schema) Method(path string) protoreflect.MethodDescriptor {
	service, method, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if !ok || s == nil {
		return nil
	}
	d, err := s.files.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return nil
	}
	if sd, ok := d.(protoreflect.ServiceDescriptor); ok {
		return sd.Methods().ByName(protoreflect.Name(method))
	}
	return nil
}

// Reflection are the paths of the reflection services, the newest first.
func Reflection() []string {
	return []string{"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"}
}

// The fields of a reflection request and its answer.
const (
	askFile   protowire.Number = 3 // file_by_filename
	askSymbol protowire.Number = 4 // file_containing_symbol
	gotFiles  protowire.Number = 4 // file_descriptor_response
	oneFile   protowire.Number = 1 // of it: file_descriptor_proto
)

// Finding collects the descriptors of one service from a server's reflection, question by question.
type Finding struct {
	service string
	have    map[string]*descriptorpb.FileDescriptorProto
	wanted  []string // files that are imported, and not there
	asked   bool
	size    int
}

// maxFiles bounds what one service imports.
const maxFiles = 500

// Find begins to look for a service.
func Find(service string) *Finding {
	return &Finding{service: service, have: map[string]*descriptorpb.FileDescriptorProto{}}
}

// Ask returns the body of the next question; nil where everything is known.
func (f *Finding) Ask() []byte {
	if !f.asked {
		return Append(nil, question(askSymbol, f.service))
	}
	var body []byte
	for _, name := range f.wanted {
		body = Append(body, question(askFile, name))
	}
	return body
}

func question(field protowire.Number, text string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, field, protowire.BytesType), text)
}

// Answer takes the body of an answer. It is an error where the answer brings nothing new.
func (f *Finding) Answer(body []byte) error {
	f.asked = true
	before := len(f.have)
	for len(body) >= head {
		n := int(uint32(body[1])<<24 | uint32(body[2])<<16 | uint32(body[3])<<8 | uint32(body[4]))
		if body[0] != 0 || n > len(body)-head {
			return ErrFraming
		}
		if err := f.read(body[head : head+n]); err != nil {
			return err
		}
		body = body[head+n:]
	}
	f.wanted = nil
	seen := map[string]bool{}
	for _, file := range f.have {
		for _, name := range file.GetDependency() {
			if f.have[name] == nil && !seen[name] {
				seen[name] = true
				f.wanted = append(f.wanted, name)
			}
		}
	}
	if len(f.have) == before || len(f.have)+len(f.wanted) > maxFiles {
		return errors.New("the server's reflection does not know the service, or not all that it imports")
	}
	return nil
}

// read takes one message of an answer.
func (f *Finding) read(m []byte) error {
	return fields(m, gotFiles, func(list []byte) error {
		return fields(list, oneFile, func(raw []byte) error {
			var file descriptorpb.FileDescriptorProto
			if f.size += len(raw); f.size > MaxDescriptors {
				return errors.New("the server's descriptors are too large")
			}
			if err := proto.Unmarshal(raw, &file); err != nil {
				return errors.New("the server's descriptors cannot be read")
			}
			f.have[file.GetName()] = &file
			return nil
		})
	})
}

// fields calls do for each value of a field of bytes.
func fields(m []byte, field protowire.Number, do func([]byte) error) error {
	for len(m) > 0 {
		num, kind, n := protowire.ConsumeTag(m)
		if n < 0 {
			return ErrFraming
		}
		m = m[n:]
		if num == field && kind == protowire.BytesType {
			v, n := protowire.ConsumeBytes(m)
			if n < 0 {
				return ErrFraming
			}
			if err := do(v); err != nil {
				return err
			}
			m = m[n:]
			continue
		}
		if n = protowire.ConsumeFieldValue(num, kind, m); n < 0 {
			return ErrFraming
		}
		m = m[n:]
	}
	return nil
}

// Schema returns what was found.
func (f *Finding) Schema() (*Schema, error) {
	set := &descriptorpb.FileDescriptorSet{}
	for _, file := range f.have {
		set.File = append(set.File, file)
	}
	return schemaOf(set, f.size)
}
