package deltatest

import (
	"encoding/xml"
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
	Lists, Gets atomic.Int64

	dir, bucket string
	takes       time.Duration
	keys        []slowKey
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
	slices.SortFunc(s.keys, func(a, b slowKey) int { return strings.Compare(a.key, b.key) })
	s.Server = httptest.NewServer(s)
	return s, nil
}

func (s *SlowS3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	time.Sleep(s.takes) // which is what it is for
	key, ours := strings.CutPrefix(strings.TrimPrefix(r.URL.Path, "/"), s.bucket)
	key = strings.TrimPrefix(key, "/")
	switch {
	case !ours || r.Method != http.MethodGet && r.Method != http.MethodHead:
		http.Error(w, "this store is only read", http.StatusForbidden)
	case key == "" && r.URL.Query().Has("list-type"):
		s.Lists.Add(1)
		s.list(w, r.URL.Query())
	case key == "":
		w.WriteHeader(http.StatusOK)
	default:
		s.Gets.Add(1)
		s.get(w, r, key)
	}
}

func (s *SlowS3) get(w http.ResponseWriter, r *http.Request, key string) {
	f, err := os.Open(filepath.Join(s.dir, filepath.FromSlash(key)))
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
	w.Header().Set("ETag", `"0123456789abcdef0123456789abcdef"`)
	http.ServeContent(w, r, "", info.ModTime(), f)
}

type (
	listAnswer struct {
		XMLName     xml.Name       `xml:"ListBucketResult"`
		Name        string         `xml:"Name"`
		Prefix      string         `xml:"Prefix"`
		KeyCount    int            `xml:"KeyCount"`
		MaxKeys     int            `xml:"MaxKeys"`
		Encoding    string         `xml:"EncodingType,omitempty"`
		IsTruncated bool           `xml:"IsTruncated"`
		Next        string         `xml:"NextContinuationToken,omitempty"`
		Contents    []listedKey    `xml:"Contents"`
		Prefixes    []listedPrefix `xml:"CommonPrefixes"`
	}
	listedKey struct {
		Key     string `xml:"Key"`
		Written string `xml:"LastModified"`
		ETag    string `xml:"ETag"`
		Size    int64  `xml:"Size"`
		Class   string `xml:"StorageClass"`
	}
	listedPrefix struct {
		Prefix string `xml:"Prefix"`
	}
)

// list answers a page, as ListObjectsV2 does.
func (s *SlowS3) list(w http.ResponseWriter, q url.Values) {
	prefix, delimiter := q.Get("prefix"), q.Get("delimiter")
	most, err := strconv.Atoi(q.Get("max-keys"))
	if err != nil || most > 1000 || most < 1 {
		most = 1000
	}
	encode := func(text string) string { return text }
	if q.Get("encoding-type") == "url" {
		encode = url.QueryEscape
	}
	a := listAnswer{Name: s.bucket, Prefix: encode(prefix), MaxKeys: most, Encoding: q.Get("encoding-type")}
	after := max(q.Get("continuation-token"), q.Get("start-after"))
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
		if a.KeyCount == most {
			a.IsTruncated = true
			break
		}
		a.KeyCount++
		a.Next = k.key
		if folder != "" {
			last = folder
			a.Prefixes = append(a.Prefixes, listedPrefix{encode(folder)})
			continue
		}
		a.Contents = append(a.Contents, listedKey{encode(k.key), k.written, `"0123456789abcdef0123456789abcdef"`, k.size, "STANDARD"})
	}
	if !a.IsTruncated {
		a.Next = ""
	}
	w.Header().Set("Content-Type", "application/xml")
	_ = xml.NewEncoder(w).Encode(a) // a caller that is gone needs no answer
}
