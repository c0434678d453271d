package delta

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// What writers write, the first two, and what is near to it.
var bodies = []string{
	`{"path":"day=2026-01-01/part-00001.snappy.parquet","partitionValues":{"day":"2026-01-01"},"size":841,"modificationTime":1695905045000,"dataChange":true,"stats":"{\"numRecords\":1,\"minValues\":{\"v\":\"é\\\"\"}}","tags":{"INSERTION_TIME":"1"},"deletionVector":{"storageType":"u","pathOrInlineDv":"ab^-aqEH.-t@S}K{vb[*k^","offset":4,"sizeInBytes":40,"cardinality":6},"baseRowId":0}`,
	`{"path":"a","deletionTimestamp":1695905045000,"dataChange":false,"extendedFileMetadata":true,"partitionValues":{"ä":null},"size":1.5e3}`,
	` { "path" : "a\u0020b" , "size" : 12 , "deletionVector" : null } `,
	`{"Path":"a","size":1}`, `{"path":"a","path":"b"}`, `{"path":"a","ſize":7}`, `{"path":"a","si\u007ae":7}`,
	`{"path":"a%20b/é","size":-0,"x":[1,[true,false,null],{"y":[]}]}`, `{"size":12345678901234567890}`, `{"size":1.0}`, `{"size":01}`,
	`{"path":"a"} {`, `{"path":"a",}`, `{}`, `null`, `[]`, `{"path":5}`, `{"size":null}`, `{"deletionVector":{"offset":null,"offset":1}}`,
	`{"path":"` + strings.Repeat("x", 300) + `","stats":"\"`, strings.Repeat(`[`, 200), "{\"path\":\"a\x01\"}", "{\"path\":\"a\xff\"}",
}

// TestQuickReaderSaysWhatEncodingJSONSays holds the two together: what the quick one knows, the other
// one reads in the same way.
func TestQuickReaderSaysWhatEncodingJSONSays(t *testing.T) {
	for _, body := range bodies[:2] {
		if sameAsJSON(t, []byte(body)) == 0 {
			t.Errorf("the quick reader does not know what writers write: %s", body)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		text := []byte(rapid.SampledFrom(bodies).Draw(t, "action"))
		for range rapid.IntRange(0, 3).Draw(t, "changes") {
			text = change(t, text)
		}
		sameAsJSON(t, text)
	})
}

// change takes something out of a text, or puts something into it.
func change(t *rapid.T, text []byte) []byte {
	at := rapid.IntRange(0, len(text)).Draw(t, "at")
	upto := min(len(text), at+rapid.IntRange(0, 3).Draw(t, "taken out"))
	part := rapid.SampledFrom([]string{"", `"`, `\`, `{`, `}`, `[`, `]`, `,`, `:`, `0`, `-`, `.`, `e`, `1`, ` `, "\n", "\x00", "\x1f", "\x7f", "é", "null", "true", `\u00e9`, `"path":"b",`, `"SIZE":3,`, `"offset":9,`}).Draw(t, "put in")
	return append(append(append([]byte{}, text[:at]...), part...), text[upto:]...)
}

func FuzzQuickReader(f *testing.F) {
	for _, one := range bodies {
		f.Add([]byte(one))
	}
	f.Fuzz(func(t *testing.T, text []byte) { sameAsJSON(t, text) })
}

// sameAsJSON counts the readings that the quick reader knew.
func sameAsJSON(t interface{ Errorf(string, ...any) }, text []byte) (known int) {
	var a addJSON
	var r removeJSON
	addErr, removeErr := json.Unmarshal(text, &a), json.Unmarshal(text, &r)
	compare := func(ok bool, have, want any, err error) {
		if !ok {
			return
		}
		known++
		if diff := cmp.Diff(want, have); err != nil || diff != "" {
			t.Errorf("%s: the quick reader took it, encoding/json says %v\n%s", text, err, diff)
		}
	}
	row, ok := scanFile(text, "size")
	compare(ok, row.add(), a.value(), addErr)
	row, ok = scanFile(text, "deletionTimestamp")
	compare(ok, row.remove(), r.value(), removeErr)
	return known
}
