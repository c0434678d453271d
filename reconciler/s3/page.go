package s3

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
)

// listPage is one page of a list of objects.
type listPage struct {
	objects []listed
	folders []string // with a slash at their end
	next    string   // what to ask for the next page with; "" if this is the last
}

// listed is an object of a list.
type listed struct {
	key     string
	size    int64
	written time.Time
	tag     string // the ETag without its quotes
}

// errUnusual says that a page is written in a way that the quick reader does not know.
var errUnusual = errors.New("it is written in an unusual way")

// readPage reads an answer to ListObjectsV2. What stores write is read quickly; whatever else
// XML allows is left to the library for it.
func readPage(text []byte) (listPage, error) {
	p, err := scanPage(text)
	if errors.Is(err, errUnusual) {
		return decodePage(text)
	}
	return p, err
}

func decodePage(text []byte) (listPage, error) {
	var r struct {
		XMLName xml.Name `xml:"ListBucketResult"` // or any XML would be an empty list
		minio.ListBucketV2Result
	}
	if err := xml.Unmarshal(text, &r); err != nil {
		return listPage{}, err
	}
	p := listPage{}
	name := plainName
	if r.EncodingType == "url" {
		name = url.QueryUnescape
	}
	for _, c := range r.Contents {
		key, err := name(c.Key)
		if err != nil {
			return listPage{}, err
		}
		p.objects = append(p.objects, listed{key, c.Size, c.LastModified, strings.Trim(c.ETag, `"`)})
	}
	for _, f := range r.CommonPrefixes {
		folder, err := name(f.Prefix)
		if err != nil {
			return listPage{}, err
		}
		p.folders = append(p.folders, folder)
	}
	return p, p.more(r.IsTruncated, r.NextContinuationToken)
}

func plainName(text string) (string, error) { return text, nil }

func (p *listPage) more(truncated bool, token string) error {
	if !truncated {
		return nil
	}
	if p.next = token; token == "" {
		return errors.New("it goes on, and does not say where")
	}
	return nil
}

// scanPage reads a page as stores write them: elements without attributes, but for the
// outermost, no comments, and texts in which nothing has to be escaped.
func scanPage(text []byte) (listPage, error) {
	s := &scanner{text: text}
	if err := s.open("ListBucketResult"); err != nil {
		return listPage{}, err
	}
	var p listPage
	var keys, folders [][]byte
	encoded, truncated, token := false, false, ""
	for {
		name, body, err := s.element()
		if err != nil {
			return listPage{}, err
		}
		switch string(name) {
		case "/ListBucketResult":
			if err := p.unescape(keys, folders, encoded); err != nil {
				return listPage{}, err
			}
			return p, p.more(truncated, token)
		case "Contents":
			key, o, err := scanObject(body)
			if err != nil {
				return listPage{}, err
			}
			keys, p.objects = append(keys, key), append(p.objects, o)
		case "CommonPrefixes":
			inner := &scanner{text: body}
			name, folder, err := inner.element()
			if err != nil || string(name) != "Prefix" || !isPlain(folder) {
				return listPage{}, errUnusual
			}
			folders = append(folders, folder)
		case "EncodingType":
			encoded = string(body) == "url"
		case "IsTruncated":
			truncated = string(body) == "true"
		case "NextContinuationToken":
			if token = string(body); !isPlain(body) {
				return listPage{}, errUnusual
			}
		}
	}
}

// unescape decodes the names of a page, once it is known whether they have to be.
func (p *listPage) unescape(keys, folders [][]byte, encoded bool) error {
	name := plainName
	if encoded {
		name = url.QueryUnescape
	}
	for i, key := range keys {
		var err error
		if p.objects[i].key, err = name(string(key)); err != nil {
			return err
		}
	}
	for _, folder := range folders {
		text, err := name(string(folder))
		if err != nil {
			return err
		}
		p.folders = append(p.folders, text)
	}
	return nil
}

// scanObject reads what is in Contents.
func scanObject(text []byte) (key []byte, o listed, err error) {
	s := &scanner{text: text}
	has := 0
	for len(bytes.TrimSpace(s.text)) > 0 {
		name, body, err := s.element()
		if err != nil {
			return nil, o, err
		}
		switch string(name) {
		case "Key":
			if key = body; !isPlain(key) {
				return nil, o, errUnusual
			}
			has++
		case "ETag":
			if o.tag, err = unquoted(body); err != nil {
				return nil, o, err
			}
		case "Size":
			if o.size, err = strconv.ParseInt(string(body), 10, 64); err != nil {
				return nil, o, err
			}
			has++
		case "LastModified":
			if o.written, err = time.Parse(time.RFC3339Nano, string(body)); err != nil {
				return nil, o, err
			}
			has++
		}
	}
	if has != 3 {
		return nil, o, fmt.Errorf("%.200q has no key, size or time, or more than one", text)
	}
	return key, o, nil
}

// scanner goes through XML, element by element.
type scanner struct{ text []byte }

// open goes into the outermost element.
func (s *scanner) open(name string) error {
	rest := bytes.TrimSpace(s.text)
	if after, ok := bytes.CutPrefix(rest, []byte("<?xml")); ok {
		_, after, ok = bytes.Cut(after, []byte("?>"))
		if !ok {
			return errUnusual
		}
		rest = bytes.TrimSpace(after)
	}
	rest, ok := bytes.CutPrefix(rest, []byte("<"+name))
	if !ok {
		return errUnusual
	}
	attributes, rest, ok := bytes.Cut(rest, []byte(">"))
	if !ok || bytes.HasSuffix(attributes, []byte("/")) {
		return errUnusual
	}
	s.text = rest
	return nil
}

// element reads the next one and what is in it. The name of an end begins with a slash.
func (s *scanner) element() (name, body []byte, err error) {
	rest := bytes.TrimLeft(s.text, " \t\r\n")
	if len(rest) == 0 || rest[0] != '<' {
		return nil, nil, errUnusual
	}
	name, rest, ok := bytes.Cut(rest[1:], []byte(">"))
	if !ok || len(name) == 0 || bytes.ContainsAny(name, " \t\r\n!?\"'") {
		return nil, nil, errUnusual
	}
	if name[0] == '/' {
		s.text = rest
		return name, nil, nil
	}
	if short, ok := bytes.CutSuffix(name, []byte("/")); ok {
		s.text = rest
		return short, nil, nil
	}
	end := make([]byte, 0, 64)
	end = append(append(append(end, "</"...), name...), '>')
	body, s.text, ok = bytes.Cut(rest, end)
	if !ok || bytes.Contains(body, []byte("<!")) {
		return nil, nil, errUnusual
	}
	return name, body, nil
}

// quotes are how stores write those of an ETag.
var quotes = []string{`"`, "&#34;", "&quot;"}

// unquoted is an ETag without its quotes.
func unquoted(text []byte) (string, error) {
	tag := string(text)
	for _, q := range quotes {
		tag = strings.TrimSuffix(strings.TrimPrefix(tag, q), q)
	}
	if !isPlain([]byte(tag)) {
		return "", errUnusual
	}
	return tag, nil
}

// isPlain tells whether a text stands for itself.
func isPlain(text []byte) bool { return !bytes.ContainsAny(text, "<&") }
