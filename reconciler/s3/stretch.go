package s3

import (
	"slices"
	"strings"
)

// stretch is a part of a bucket that is listed page by page.
type stretch struct {
	prefix    string
	delimiter string // "/": folders are told of, and not looked into; "": everything below
	after     string // the key after which it begins; "": at the beginning

	// Of several folders of the prefix that follow each other: the first one, and where the last
	// one ends.
	first, end string
}

// stretches cuts what is in the folders of a prefix, which are sorted, into parts of as many
// folders each.
func stretches(prefix string, folders []string) (all []stretch) {
	for some := range slices.Chunk(folders, 1+len(folders)/mostStretches) {
		first, last := some[0], some[len(some)-1]
		if first == last {
			all = append(all, stretch{prefix: first})
			continue
		}
		// What begins after the first one's name without its slash has its marker, which is a key too.
		all = append(all, stretch{
			prefix: prefix, after: strings.TrimSuffix(first, "/"),
			first: first, end: strings.TrimSuffix(last, "/") + string('/'+1),
		})
	}
	return all
}

// cut leaves what is of the stretch on a page, and tells whether no further page can have more of
// it: it leaves out what is outside of its folders, and between them directly in the prefix, which
// is told of by whoever looks for the folders.
func (s stretch) cut(p *listPage) (over bool) {
	if s.end == "" {
		return false
	}
	over = len(p.objects) > 0 && p.objects[len(p.objects)-1].key >= s.end
	p.objects = slices.DeleteFunc(p.objects, func(o listed) bool {
		return o.key < s.first || o.key >= s.end || !strings.Contains(o.key[len(s.prefix):], "/")
	})
	return over
}
