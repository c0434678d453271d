package s3

import (
	"encoding/xml"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func sameList(t interface{ Errorf(string, ...any) }, want, have listPage) {
	if diff := cmp.Diff(want, have, cmp.AllowUnexported(listPage{}, listed{})); diff != "" {
		t.Errorf("the quick reader and the library differ:\n%s", diff)
	}
}

// anyPage writes a list as some store may.
func anyPage(t *rapid.T) string {
	var b strings.Builder
	if rapid.Bool().Draw(t, "declared") {
		b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
	}
	gap := rapid.SampledFrom([]string{"", "\n  "}).Draw(t, "gap")
	encoded := rapid.Bool().Draw(t, "encoded")
	name := func(label string) string {
		text := rapid.StringOf(rapid.SampledFrom([]rune("ab/%+=&<>'\" é日"))).Draw(t, label)
		if encoded {
			text = url.QueryEscape(text)
		}
		var escaped strings.Builder
		if err := xml.EscapeText(&escaped, []byte(text)); err != nil {
			t.Fatal(err)
		}
		return escaped.String()
	}
	b.WriteString(`<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` + gap + "<Name>b</Name><Prefix></Prefix><Delimiter/>" + gap)
	if encoded {
		b.WriteString("<EncodingType>url</EncodingType>")
	}
	for range rapid.IntRange(0, 4).Draw(t, "objects") {
		at := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "written"), 0).UTC().Format("2006-01-02T15:04:05.000Z")
		fmt.Fprintf(&b, "<Contents>%s<Key>%s</Key><LastModified>%s</LastModified><ETag>%s</ETag><Size>%d</Size><Owner><ID>x</ID><DisplayName>y</DisplayName></Owner><StorageClass>STANDARD</StorageClass>%s</Contents>",
			gap, name("key"), at, rapid.SampledFrom([]string{"&#34;0-2&#34;", `"0"`, "0", "&quot;a&quot;", ""}).Draw(t, "tag"), rapid.Int64Range(0, 1<<40).Draw(t, "size"), gap)
	}
	for range rapid.IntRange(0, 3).Draw(t, "folders") {
		fmt.Fprintf(&b, "<CommonPrefixes><Prefix>%s</Prefix></CommonPrefixes>%s", name("folder"), gap)
	}
	if rapid.Bool().Draw(t, "goes on") {
		b.WriteString("<IsTruncated>true</IsTruncated><NextContinuationToken>" + name("token") + "</NextContinuationToken>")
	}
	b.WriteString("</ListBucketResult>")
	return b.String()
}

func TestQuickReaderOfAListAgreesWithTheLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := anyPage(t)
		want, wantErr := decodePage([]byte(text))
		have, err := scanPage([]byte(text))
		if errors.Is(err, errUnusual) {
			have, err = decodePage([]byte(text)) // as readPage does
		}
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%v, the library: %v\n%s", err, wantErr, text)
		}
		if err == nil {
			sameList(t, want, have)
		}
	})
}

func TestListThatStoresWriteIsReadQuickly(t *testing.T) {
	for name, text := range map[string]string{
		"MinIO": `<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix></Prefix><NextContinuationToken>dC9hWzEyM10=</NextContinuationToken><KeyCount>1</KeyCount><MaxKeys>1</MaxKeys><Delimiter>/</Delimiter><IsTruncated>true</IsTruncated><Contents><Key>t/a%20b</Key><LastModified>2026-11-27T11:40:50.123Z</LastModified><ETag>&#34;9e107d9d372bb6826bd81d3542a419d6&#34;</ETag><Size>3</Size><StorageClass>STANDARD</StorageClass></Contents><CommonPrefixes><Prefix>t/</Prefix></CommonPrefixes><EncodingType>url</EncodingType></ListBucketResult>`,
		"AWS": `<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix/><NextContinuationToken>1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=</NextContinuationToken><KeyCount>1</KeyCount><MaxKeys>1</MaxKeys><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><Contents><Key>t/a+b</Key><LastModified>2026-11-27T11:40:50.000Z</LastModified><ETag>&quot;9e107d9d372bb6826bd81d3542a419d6&quot;</ETag><Size>3</Size><Owner><ID>1</ID></Owner><StorageClass>STANDARD</StorageClass></Contents></ListBucketResult>`,
	} {
		t.Run(name, func(t *testing.T) {
			p, err := scanPage([]byte(text))
			if err != nil || len(p.objects) != 1 || p.objects[0].key != "t/a b" || p.next == "" {
				t.Errorf("%+v, %v", p, err)
			}
		})
	}
}

func TestListThatIsCutOffIsAnError(t *testing.T) {
	whole := `<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key><LastModified>2026-11-27T11:40:50.000Z</LastModified><Size>3</Size></Contents></ListBucketResult>`
	if p, err := readPage([]byte(whole)); err != nil || len(p.objects) != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	for n := range len(whole) {
		if p, err := readPage([]byte(whole[:n])); err == nil {
			t.Errorf("%q is read as %+v", whole[:n], p)
		}
	}
	for _, text := range []string{
		`<html>not found</html>`, `<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>`,
		`<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>`,
	} {
		if p, err := readPage([]byte(text)); err == nil {
			t.Errorf("%q is read as %+v", text, p)
		}
	}
}

func FuzzReadPage(f *testing.F) {
	f.Add([]byte(`<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>a%20b</Key><LastModified>2026-11-27T11:40:50.000Z</LastModified><Size>3</Size></Contents></ListBucketResult>`))
	f.Fuzz(func(t *testing.T, text []byte) {
		quick, err := scanPage(text)
		slow, slowErr := decodePage(text)
		if err == nil && slowErr == nil {
			sameList(t, slow, quick)
		}
	})
}
