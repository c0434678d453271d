package s3

import (
	"context"
	"fmt"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/flumendata/flumen-agent/spec"
)

const (
	// logFolder is deltaLog as stores list it.
	logFolder = deltaLog + "/"
	// page is how many names a store tells at once.
	page = 1000
	// actPages bounds the search for tables before something is done that would be their end,
	// lookPages that of every look.
	actPages, lookPages = 500, 20
)

// search looks for Delta tables by the names that a store lists, and gives up after so many
// pages.
type search struct {
	*connection
	bucket string
	pages  int // left
}

// reached finds a table some of whose files have names that begin with prefix: one below it,
// or one that it leads into. It gives "" for none; whole tells whether everything was looked
// at.
func (s *search) reached(ctx context.Context, prefix string) (table string, whole bool, err error) {
	for end := 0; end >= 0; {
		folder := prefix[:end]
		if found, _, err := s.list(ctx, folder+logFolder); err != nil || found {
			return s.place(folder), true, err
		}
		next := strings.Index(prefix[end:], "/")
		if next < 0 {
			break
		}
		end += next + 1
	}
	for folders := []string{prefix}; len(folders) > 0; folders = folders[1:] {
		if s.pages <= 0 {
			return "", false, nil
		}
		_, below, err := s.list(ctx, folders[0])
		if err != nil {
			return "", false, err
		}
		for _, folder := range below {
			if table, ok := strings.CutSuffix(folder, logFolder); ok && (table == "" || strings.HasSuffix(table, "/")) {
				return s.place(table), true, nil
			}
		}
		folders = append(folders, below...)
	}
	return "", s.pages >= 0, nil
}

// list gives the folders among the names that begin with prefix, and whether there are such
// names.
func (s *search) list(ctx context.Context, prefix string) (some bool, folders []string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // or the listing waits for somebody to take the rest
	names := 0
	for one := range s.ListObjects(ctx, s.bucket, minio.ListObjectsOptions{Prefix: prefix, MaxKeys: page}) {
		if one.Err != nil {
			return false, nil, s.explain("list bucket "+s.bucket, one.Err)
		}
		if strings.HasSuffix(one.Key, "/") && one.Key != prefix {
			folders = append(folders, one.Key)
		}
		if names++; names%page == 0 {
			s.pages--
		}
		if s.pages <= 0 {
			break
		}
	}
	s.pages--
	return names > 0, folders, nil
}

func (s *search) place(folder string) string {
	return s.store.Place(strings.TrimSuffix(s.bucket+"/"+folder, "/"))
}

// harm says which of the rules deletes which Delta table, "" if none does as far as one can
// see. Declared folders count as tables, be there any or not. An error says also that not
// everything could be looked at, if it has to be.
func (c *connection) harm(ctx context.Context, b *spec.Bucket, rules []spec.LifecycleRule, pages int) (says string, err error) {
	s := &search{c, b.Name, pages}
	for _, rule := range rules {
		if !rule.Expires() {
			continue
		}
		for _, folder := range b.Tables {
			if rule.Reaches(folder) {
				return fmt.Sprintf("the lifecycle rule %s deletes the Delta tables in %s", rule.ID, s.place(folder)), nil
			}
		}
		table, whole, err := s.reached(ctx, rule.Prefix)
		switch {
		case err != nil:
			return "", err
		case table != "":
			return fmt.Sprintf("the lifecycle rule %s deletes files of the Delta table %s", rule.ID, table), nil
		case !whole && pages == actPages:
			return "", refusal{ruleTables, fmt.Sprintf("there is too much in bucket %s to see whether the lifecycle rule %s would delete files of Delta tables: give it a longer prefix", b.Name, rule.ID)}
		}
	}
	return "", nil
}
