package deltatest

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// SlowS3 serves a folder as one bucket of S3, to list and to read, and takes its time for every answer, as a
// store over a network does. It asks for no key.
type SlowS3 struct {
	*httptest.Server
	Lists, Gets, Heads atomic.Int64

	dir, bucket string
	takes       time.Duration
	keys        []slowKey
	contents    map[string][]byte // of files that are in no folder
}

type slowKey struct {
	key     string
	size    int64
	written string
}

// NewSlowS3 begins to serve what is in a folder now.
func NewSlowS3(dir, bucket string, takes time.Duration) (*SlowS3, error) {
	s := &SlowS3{dir: dir, bucket: bucket, takes: takes}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		key := filepath.ToSlash(path[len(dir)+1:])
		s.keys = append(s.keys, slowKey{key, info.Size(), info.ModTime().UTC().Format("2006-01-02T15:04:05.000Z")})
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.serve()
	return s, nil
}

// NewSlowS3Of serves a large table that is in no folder, for which a disk would need too many files. Its data
// cannot be read.
func NewSlowS3Of(l Large, bucket, folder string, takes time.Duration) (*SlowS3, error) {
	s := &SlowS3{bucket: bucket, takes: takes, contents: map[string][]byte{}}
	add := func(name string, size int, written time.Time) {
		s.keys = append(s.keys, slowKey{folder + "/" + name, int64(size), written.UTC().Format("2006-01-02T15:04:05.000Z")})
	}
	err := l.Data(func(key string, written time.Time) error {
		add(key, 1, written)
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = l.Log(func(name string, content []byte, written time.Time) error {
		add("_delta_log/"+name, len(content), written)
		s.contents[folder+"/_delta_log/"+name] = content
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.serve()
	return s, nil
}

func (s *SlowS3) serve() {
	slices.SortFunc(s.keys, func(a, b slowKey) int { return strings.Compare(a.key, b.key) })
	s.Server = httptest.NewServer(s)
}

func (s *SlowS3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	time.Sleep(s.takes) // which is what it is for
	key, ours := strings.CutPrefix(strings.TrimPrefix(r.URL.Path, "/"), s.bucket)
	key = strings.TrimPrefix(key, "/")
	switch {
	case !ours || r.Method != http.MethodGet && r.Method != http.MethodHead:
		http.Error(w, "this store is only read", http.StatusForbidden)
	case key == "" && (r.URL.Query().Has("list-type") || r.URL.Query().Has("versions")):
		s.Lists.Add(1)
		s.list(w, r.URL.Query())
	case key == "":
		w.WriteHeader(http.StatusOK)
	case r.Method == http.MethodHead:
		s.Heads.Add(1)
		s.get(w, r, key)
	default:
		s.Gets.Add(1)
		s.get(w, r, key)
	}
}

func (s *SlowS3) get(w http.ResponseWriter, r *http.Request, key string) {
	w.Header().Set("ETag", `"0123456789abcdef0123456789abcdef"`)
	if content, ok := s.contents[key]; ok {
		http.ServeContent(w, r, "", time.Now(), bytes.NewReader(content))
		return
	}
	f, err := os.Open(filepath.Join(s.dir, filepath.FromSlash(key)))
	if s.dir == "" {
		err = errors.Join(err, fs.ErrNotExist)
	}
	if err != nil {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`<?xml version="1.0"?><Error><Code>NoSuchKey</Code><Message>there is none</Message></Error>`))
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	http.ServeContent(w, r, "", info.ModTime(), f)
}

// list answers a page, as ListObjectsV2 and ListObjectVersions do: each object has one version. It is written by hand: the library for XML would take
// more time for an answer than who is measured takes to read it.
func (s *SlowS3) list(w http.ResponseWriter, q url.Values) {
	prefix, delimiter := q.Get("prefix"), q.Get("delimiter")
	most, err := strconv.Atoi(q.Get("max-keys"))
	if err != nil || most > 1000 || most < 1 {
		most = 1000
	}
	encode := escapeXML
	if q.Get("encoding-type") == "url" {
		encode = url.QueryEscape
	}
	result, object, token := "ListBucketResult", "Contents", "NextContinuationToken"
	if q.Has("versions") {
		result, object, token = "ListVersionsResult", "Version", "NextKeyMarker"
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `<?xml version="1.0" encoding="UTF-8"?><%s><Name>%s</Name><Prefix>%s</Prefix><MaxKeys>%d</MaxKeys>`, result, s.bucket, encode(prefix), most)
	if e := q.Get("encoding-type"); e != "" {
		fmt.Fprintf(&b, "<EncodingType>%s</EncodingType>", e)
	}
	count, next, more := 0, "", false
	after := max(q.Get("continuation-token"), q.Get("start-after"), q.Get("key-marker"))
	i, found := slices.BinarySearchFunc(s.keys, max(prefix, after), func(k slowKey, key string) int { return strings.Compare(k.key, key) })
	if found && after >= prefix {
		i++
	}
	for last := ""; i < len(s.keys) && strings.HasPrefix(s.keys[i].key, prefix); i++ {
		k := s.keys[i]
		folder := ""
		if n := strings.Index(k.key[len(prefix):], delimiter); delimiter != "" && n >= 0 {
			folder = k.key[:len(prefix)+n+len(delimiter)]
		}
		if folder != "" && (folder == last || strings.HasPrefix(after, folder)) {
			continue
		}
		if more = count == most; more {
			break
		}
		count++
		next = k.key
		if folder != "" {
			last = folder
			b.WriteString("<CommonPrefixes><Prefix>" + encode(folder) + "</Prefix></CommonPrefixes>")
			continue
		}
		b.WriteString("<" + object + "><Key>" + encode(k.key) + "</Key><LastModified>" + k.written +
			`</LastModified><ETag>&quot;0123456789abcdef0123456789abcdef&quot;</ETag><Size>` + strconv.FormatInt(k.size, 10) + "</Size><StorageClass>STANDARD</StorageClass></" + object + ">")
	}
	fmt.Fprintf(&b, "<IsTruncated>%t</IsTruncated>", more)
	if more {
		b.WriteString("<" + token + ">" + escapeXML(next) + "</" + token + ">")
	}
	b.WriteString("</" + result + ">")
	w.Header().Set("Content-Type", "application/xml")
	_, _ = w.Write(b.Bytes()) // a caller that is gone needs no answer
}

func escapeXML(text string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(text)) // a buffer takes everything
	return b.String()
}
