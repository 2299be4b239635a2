package audit

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/fault"
)

// A log's directory holds one directory per epoch, and an epoch's holds its segments, named by their first sequence.
const (
	lockFile     = "lock"
	epochPrefix  = "epoch-"
	segmentDir   = "segments"
	segmentExt   = ".seg"
	previousFile = "previous" // in an epoch that BeginEpoch made: the checkpoint that it follows
)

func epochDir(dir string, n uint32) string {
	return filepath.Join(dir, fmt.Sprintf("%s%06d", epochPrefix, n))
}

func segmentPath(dir string, first uint64) string {
	return filepath.Join(dir, segmentDir, fmt.Sprintf("%020d%s", first, segmentExt))
}

// listEpochs returns the numbers of the epochs in a log's directory, ascending.
func listEpochs(dir string) ([]uint32, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []uint32
	for _, e := range entries {
		digits, ok := strings.CutPrefix(e.Name(), epochPrefix)
		n, err := strconv.ParseUint(digits, 10, 32)
		if ok && err == nil && e.IsDir() && e.Name() == filepath.Base(epochDir(dir, uint32(n))) {
			out = append(out, uint32(n))
		}
	}
	slices.Sort(out)
	return out, nil
}

// listSegments returns the first sequences of an epoch's segments, ascending.
func listSegments(dir string) ([]uint64, error) {
	entries, err := os.ReadDir(filepath.Join(dir, segmentDir))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []uint64
	for _, e := range entries {
		digits, ok := strings.CutSuffix(e.Name(), segmentExt)
		n, err := strconv.ParseUint(digits, 10, 64)
		if ok && err == nil {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out, nil
}

// errTorn means that the file ends, or goes bad, inside a frame.
var errTorn = errors.New("the segment ends inside a record")

// segmentReader reads the frames of one segment in order.
type segmentReader struct {
	header header
	path   string
	at     int64 // where the next frame begins
	end    int64 // how long the file was when it was opened
	next   uint64
	f      *os.File
	r      *bufio.Reader
	body   []byte
}

func openSegment(path string) (*segmentReader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	s := &segmentReader{path: path, f: f, r: bufio.NewReaderSize(f, 256<<10)}
	if err := s.readHeader(); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return s, nil
}

func (s *segmentReader) readHeader() error {
	info, err := s.f.Stat()
	if err != nil {
		return err
	}
	s.end = info.Size()
	head, err := s.r.Peek(int(min(maxHeader, s.end)))
	if err != nil {
		return err
	}
	if s.header, err = parseHeader(head); err != nil {
		return err
	}
	s.at, s.next = s.header.size(), s.header.first
	_, err = s.r.Discard(int(s.at))
	return err
}

// read returns the next frame, which is good until the next call; io.EOF at the segment's end; errTorn where what
// follows is not a whole record with the next sequence.
func (s *segmentReader) read() (frame, error) {
	if s.at == s.end {
		return frame{}, io.EOF
	}
	var head [frameHead]byte
	if s.end-s.at < frameHead {
		return frame{}, errTorn
	}
	if _, err := io.ReadFull(s.r, head[:]); err != nil {
		return frame{}, err
	}
	n := int64(binary.BigEndian.Uint32(head[:]))
	if n > maxBody || n > s.end-s.at-frameHead {
		return frame{}, errTorn
	}
	s.body = slices.Grow(s.body[:0], int(n))[:n]
	if _, err := io.ReadFull(s.r, s.body); err != nil {
		return frame{}, err
	}
	if binary.BigEndian.Uint32(head[4:]) != frameCRC(head[:4], s.body) {
		return frame{}, errTorn
	}
	f, err := parseBody(s.body)
	if err != nil {
		return frame{}, err
	}
	if f.seq != s.next {
		return frame{}, fault.New(fault.Internal, "audit.read", "%s holds record %d where %d belongs: run gatehouse audit verify", filepath.Base(s.path), f.seq, s.next)
	}
	s.at += frameHead + n
	s.next++
	return f, nil
}

func (s *segmentReader) close() { _ = s.f.Close() }
