package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"
)

const (
	// listsAtOnce is how many pages of a long list are asked for side by side. A store gives a
	// thousand keys an answer, and the next page only to who has this one.
	listsAtOnce = 16
	// splitLevels is how deep folders are looked for to split a long list by.
	splitLevels = 3
	// mostStretches is how many parts the folders of one folder are listed in. Each costs a request
	// at least, and a table may have a hundred thousand folders with a file each. Those of each day of a year are
	// listed one by one: to begin in the middle takes MinIO twice as much of its processor.
	mostStretches = 512
	// listValid is how long the signature of a request for a page is good.
	listValid = 10 * time.Minute
	// pageLimit bounds a page: a thousand keys, each as long as may be and encoded.
	pageLimit = 16 << 20
)

// List lists what is below a folder, which begins with a bucket. A list that is longer than a
// page is split by its folders. See delta.Store.
func (f *Files) List(ctx context.Context, folder string, deep bool, each func(path string, size int64, written time.Time, tag string) error) error {
	bucket, prefix, _ := strings.Cut(folder, "/")
	l := &lister{connection: f.connection, bucket: bucket, tell: func(p listPage) error { return p.tell(bucket, each) }}
	if !deep {
		return l.all(ctx, stretch{prefix: prefix, delimiter: "/"}, l.tell)
	}
	first, err := l.page(ctx, stretch{prefix: prefix}, "")
	if err != nil {
		return err
	}
	if first.next == "" {
		return l.tell(first)
	}
	return l.split(ctx, prefix)
}

// ListAfter lists what is directly in a folder and comes after a name. See delta.Ordered.
func (f *Files) ListAfter(ctx context.Context, folder, after string, each func(path string, size int64, written time.Time, tag string) error) error {
	bucket, prefix, _ := strings.Cut(folder, "/")
	l := &lister{connection: f.connection, bucket: bucket, tell: func(p listPage) error { return p.tell(bucket, each) }}
	return l.all(ctx, stretch{prefix: prefix, delimiter: "/", after: prefix + after}, l.tell)
}

// lister lists one bucket.
type lister struct {
	connection *connection
	bucket     string
	tell       func(listPage) error // of whatever is listed, from one goroutine
}

func (p listPage) tell(bucket string, each func(string, int64, time.Time, string) error) error {
	for _, folder := range p.folders {
		if err := each(bucket+"/"+folder, 0, time.Time{}, ""); err != nil {
			return err
		}
	}
	for _, o := range p.objects {
		if err := each(bucket+"/"+o.key, o.size, o.written, o.tag); err != nil {
			return err
		}
	}
	return nil
}

// split lists everything below a prefix, many stretches of it at a time.
func (l *lister) split(ctx context.Context, prefix string) error {
	at := []stretch{{prefix: prefix}}
	for level := 0; level < splitLevels && 0 < len(at) && len(at) < listsAtOnce; level++ {
		var below []stretch
		var mu sync.Mutex
		err := l.sideBySide(ctx, at, func(ctx context.Context, in stretch, tell func(listPage) error) error {
			var folders []string
			in.delimiter = "/"
			err := l.all(ctx, in, func(p listPage) error {
				folders = append(folders, p.folders...)
				p.folders = nil
				return tell(p)
			})
			mu.Lock()
			defer mu.Unlock()
			below = append(below, stretches(in.prefix, folders)...)
			return err
		})
		if err != nil {
			return err
		}
		at = below
	}
	return l.sideBySide(ctx, at, l.all)
}

// sideBySide lists stretches, some at a time, and tells of their pages one after the other.
func (l *lister) sideBySide(ctx context.Context, all []stretch, list func(context.Context, stretch, func(listPage) error) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	pages := make(chan listPage)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(listsAtOnce)
	done := make(chan error, 1)
	go func() {
		for _, one := range all {
			if ctx.Err() != nil {
				break
			}
			g.Go(func() error {
				return list(ctx, one, func(p listPage) error {
					select {
					case pages <- p:
						return nil
					case <-ctx.Done():
						return context.Cause(ctx)
					}
				})
			})
		}
		done <- g.Wait()
		close(pages)
	}()
	var failed error
	for p := range pages {
		if failed != nil {
			continue // the others are ending
		}
		if failed = l.tell(p); failed != nil {
			cancel(failed)
		}
	}
	if err := <-done; failed == nil {
		failed = err
	}
	return failed
}

// all lists a stretch page by page.
func (l *lister) all(ctx context.Context, in stretch, tell func(listPage) error) error {
	token := ""
	for {
		p, err := l.page(ctx, in, token)
		if err != nil {
			return err
		}
		over := in.cut(&p)
		if err := tell(p); err != nil {
			return err
		}
		if p.next == "" || over {
			return nil
		}
		token = p.next
	}
}

// page asks for one page of a list.
func (l *lister) page(ctx context.Context, in stretch, token string) (listPage, error) {
	query := url.Values{"list-type": {"2"}, "encoding-type": {"url"}, "max-keys": {"1000"}, "prefix": {in.prefix}}
	if in.delimiter != "" {
		query.Set("delimiter", in.delimiter)
	}
	switch {
	case token != "":
		query.Set("continuation-token", token)
	case in.after != "":
		query.Set("start-after", in.after)
	}
	return again(ctx, l.connection.store.Retries, func() (listPage, error) {
		p, err := l.ask(ctx, query)
		if err == nil || context.Cause(ctx) != nil {
			return p, errors.Join(context.Cause(ctx), err)
		}
		return p, l.connection.explain("list the bucket "+l.bucket, err)
	})
}

// ask sends one request. The client of the library decodes an answer by reflection, which takes
// twenty times as long as reading it.
func (l *lister) ask(ctx context.Context, query url.Values) (listPage, error) {
	to, err := l.connection.Presign(ctx, http.MethodGet, l.bucket, "", listValid, query)
	if err != nil {
		return listPage{}, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, to.String(), nil)
	if err != nil {
		return listPage{}, err
	}
	answer, err := (&http.Client{Transport: l.connection.heard}).Do(r)
	if err != nil {
		return listPage{}, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, pageLimit))
	if err != nil {
		return listPage{}, err
	}
	if answer.StatusCode != http.StatusOK {
		return listPage{}, l.connection.refusedList(answer, text)
	}
	p, err := readPage(text)
	if err != nil {
		return listPage{}, fmt.Errorf("its list cannot be read: %w", err)
	}
	return p, nil
}

// refusedList reads the error of an answer.
func (c *connection) refusedList(answer *http.Response, text []byte) error {
	err := c.refused(answer, text)
	var r minio.ErrorResponse
	if errors.As(err, &r) {
		return r
	}
	return err
}
