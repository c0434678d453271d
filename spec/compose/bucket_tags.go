package compose

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// mostTags is one less than S3 allows: the agent needs one for its own mark.
	mostTags    = 49
	mostTagKey  = 128
	mostTagText = 256
)

// tagText is what every S3 server takes for the key or the value of a tag.
var tagText = regexp.MustCompile(`^[a-zA-Z0-9+\-._:/@ =]*$`)

// reservedTags are those by which S3 and the agent know what is whose.
var reservedTags = []string{"aws:", "dev.flumen."}

// bucketTags reads the tags of a bucket.
func (c *conversion) bucketTags(declared map[string]string, at func(...string) place) map[string]string {
	if len(declared) == 0 {
		return nil
	}
	if len(declared) > mostTags {
		c.fault(at("tags"), "", "a bucket can have at most %d tags beside the one of the agent", mostTags)
	}
	all := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(declared)) {
		stands := at("tags", key)
		all[key] = c.substitute(declared[key], c.env, stands)
		c.checkTagText(key, mostTagKey, stands)
		c.checkTagText(all[key], mostTagText, stands)
		switch i := slices.IndexFunc(reservedTags, func(prefix string) bool { return strings.HasPrefix(key, prefix) }); {
		case key == "":
			c.fault(stands, "", "a tag has no name")
		case i >= 0:
			c.fault(stands, "choose another name", "tag %s: names that begin with %s are not for users", key, reservedTags[i])
		}
	}
	return all
}

func (c *conversion) checkTagText(text string, most int, at place) {
	switch n := utf8.RuneCountInString(text); {
	case n > most:
		c.fault(at, "", "%d characters are too long for a tag: at most %d are possible", n, most)
	case !tagText.MatchString(text):
		c.fault(at, "use letters, digits, spaces and + - . _ : / @ =", "%q cannot stand in a tag", text)
	}
}
