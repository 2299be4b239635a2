package web

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/structpb"
)

// orders is a backend that speaks gRPC, by the library that most speak it with. Its messages are made from a description.
type orders struct {
	server      *grpc.Server
	files       *protoregistry.Files
	descriptors string // the file of its descriptors
	address     string // as a connection has it

	mu     sync.Mutex
	called []string
	asked  []proto.Message
	heads  []metadata.MD
}

var shop orders

const (
	text    = descriptorpb.FieldDescriptorProto_TYPE_STRING
	integer = descriptorpb.FieldDescriptorProto_TYPE_INT64
	message = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE
)

func field(name string, n int32, kind descriptorpb.FieldDescriptorProto_Type, of string, many bool) *descriptorpb.FieldDescriptorProto {
	f := &descriptorpb.FieldDescriptorProto{Name: proto.String(name), Number: proto.Int32(n), Type: kind.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()}
	if many {
		f.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
	}
	if of != "" {
		f.TypeName = proto.String(of)
	}
	return f
}

func described() *descriptorpb.FileDescriptorSet {
	method := func(name string, in, out bool) *descriptorpb.MethodDescriptorProto {
		return &descriptorpb.MethodDescriptorProto{Name: proto.String(name), InputType: proto.String(".shop.Query"), OutputType: proto.String(".shop.Order"),
			ClientStreaming: proto.Bool(in), ServerStreaming: proto.Bool(out)}
	}
	file := &descriptorpb.FileDescriptorProto{Name: proto.String("shop.proto"), Package: proto.String("shop"), Syntax: proto.String("proto3"),
		Dependency: []string{"google/protobuf/struct.proto"},
		MessageType: []*descriptorpb.DescriptorProto{
			{Name: proto.String("Query"), Field: []*descriptorpb.FieldDescriptorProto{field("id", 1, text, "", false), field("card", 2, text, "", false)}},
			{Name: proto.String("Customer"), Field: []*descriptorpb.FieldDescriptorProto{field("email_address", 1, text, "", false), field("name", 2, text, "", false)}},
			{Name: proto.String("Order"), Field: []*descriptorpb.FieldDescriptorProto{
				field("id", 1, text, "", false), field("customer", 2, message, ".shop.Customer", false), field("others", 3, message, ".shop.Customer", true),
				field("notes", 4, message, ".shop.Order.NotesEntry", true), field("number", 5, integer, "", false), field("extra", 6, message, ".google.protobuf.Struct", false)},
				NestedType: []*descriptorpb.DescriptorProto{{Name: proto.String("NotesEntry"), Options: &descriptorpb.MessageOptions{MapEntry: proto.Bool(true)},
					Field: []*descriptorpb.FieldDescriptorProto{field("key", 1, text, "", false), field("value", 2, text, "", false)}}}},
		},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("Orders"), Method: []*descriptorpb.MethodDescriptorProto{
			method("Get", false, false), method("Delete", false, false), method("Forbidden", false, false), method("Fail", false, false), method("Watch", false, true), method("Chat", true, true)}}}}
	return &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{protodesc.ToFileDescriptorProto(structpb.File_google_protobuf_struct_proto), file}}
}

// open starts it, once, and returns its address.
func (o *orders) open(t *testing.T) string {
	t.Helper()
	set := described()
	raw, err := proto.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	o.descriptors = filepath.Join(shared.dir, "shop.pb")
	if err := os.WriteFile(o.descriptors, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if o.files, err = protodesc.NewFiles(set); err != nil {
		t.Fatal(err)
	}
	o.server = grpc.NewServer(grpc.UnknownServiceHandler(o.serve))
	reflectionv1.RegisterServerReflectionServer(o.server, reflection.NewServerV1(reflection.ServerOptions{Services: o, DescriptorResolver: o.files}))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = o.server.Serve(l) }()
	o.address = "http://" + l.Addr().String()
	return l.Addr().String()
}

// GetServiceInfo implements reflection.ServiceInfoProvider.
func (*orders) GetServiceInfo() map[string]grpc.ServiceInfo {
	return map[string]grpc.ServiceInfo{"shop.Orders": {}}
}

// made makes a message of a type from JSON.
func (o *orders) made(t protoreflect.FullName, from string) (*dynamicpb.Message, error) {
	d, err := o.files.FindDescriptorByName(t)
	if err != nil {
		return nil, err
	}
	m := dynamicpb.NewMessage(d.(protoreflect.MessageDescriptor))
	return m, protojson.Unmarshal([]byte(from), m)
}

const order = `{"id": "7 4111111111111111", "customer": {"emailAddress": "canary@example.com", "name": "Ada"},
 "others": [{"emailAddress": "canary@example.com", "name": "Bob"}, {"name": "Eve"}], "notes": {"secret": "canary", "other": "x"}, "number": "4711",
 "extra": {"email": "canary@example.com", "plain": "y"}}`

// serve answers every method.
func (o *orders) serve(_ any, s grpc.ServerStream) error {
	name, _ := grpc.MethodFromServerStream(s)
	md, _ := metadata.FromIncomingContext(s.Context())
	o.mu.Lock()
	o.called, o.heads = append(o.called, name), append(o.heads, md)
	o.mu.Unlock()
	for {
		q, err := o.made("shop.Query", "{}")
		if err != nil {
			return err
		}
		if err := s.RecvMsg(q); err != nil {
			return nil //nolint:nilerr // the client has said all
		}
		o.mu.Lock()
		o.asked = append(o.asked, q)
		o.mu.Unlock()
		if name == "/shop.Orders/Fail" {
			return status.Error(codes.DataLoss, "canary@example.com was lost")
		}
		a, err := o.made("shop.Order", order)
		if err != nil {
			return err
		}
		a.SetUnknown(append(a.GetUnknown(), 0xfa, 0x3f, 6, 'c', 'a', 'n', 'a', 'r', 'y')) // field 1023
		times := 1
		if name == "/shop.Orders/Watch" {
			times = 3
		}
		for range times {
			if err := s.SendMsg(a); err != nil {
				return err
			}
		}
		if name != "/shop.Orders/Chat" {
			s.SetTrailer(metadata.Pairs("x-credential", md.Get("authorization")[0]))
			return nil
		}
	}
}

// since returns how many calls there were, and what was asked last.
func (o *orders) since() (int, proto.Message, metadata.MD) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.called) == 0 {
		return 0, nil, nil
	}
	var last proto.Message
	if n := len(o.asked); n > 0 {
		last = o.asked[n-1]
	}
	return len(o.called), last, o.heads[len(o.heads)-1]
}

// caller is a stock client. The connection is named by the path of each method, as an interceptor does it.
func caller(t *testing.T, connection string) *grpc.ClientConn {
	t.Helper()
	streaming.open(t)
	conf := client(t).Transport.(*http.Transport).TLSClientConfig
	c, err := grpc.NewClient(shared.gw.Listener["http"], grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: conf.RootCAs, MinVersion: tls.VersionTLS12})),
		grpc.WithUnaryInterceptor(func(ctx context.Context, method string, in, out any, c *grpc.ClientConn, do grpc.UnaryInvoker, o ...grpc.CallOption) error {
			return do(ctx, "/c/"+connection+method, in, out, c, o...)
		}),
		grpc.WithStreamInterceptor(func(ctx context.Context, d *grpc.StreamDesc, c *grpc.ClientConn, method string, do grpc.Streamer, o ...grpc.CallOption) (grpc.ClientStream, error) {
			return do(ctx, d, c, "/c/"+connection+method, o...)
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// authorized is a context with the token, and more metadata.
func authorized(t *testing.T, more ...string) context.Context {
	return metadata.AppendToOutgoingContext(t.Context(), append([]string{"authorization", "Bearer " + streaming.token}, more...)...)
}

// invoke calls a unary method and returns its answer as JSON.
func invoke(t *testing.T, c *grpc.ClientConn, ctx context.Context, method, ask string, o ...grpc.CallOption) (string, error) {
	t.Helper()
	q, err := shop.made("shop.Query", ask)
	if err != nil {
		t.Fatal(err)
	}
	a, err := shop.made("shop.Order", "{}")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Invoke(ctx, "/shop.Orders/"+method, q, a, o...); err != nil {
		return "", err
	}
	return protojson.Format(a) + string(a.GetUnknown()), nil
}
