package proof

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

var at0 = time.Time{}

func TestPathsMeanTheFileThatTheyEncode(t *testing.T) {
	for raw, want := range map[string]string{
		"a": "a", "a%20b": "a b", "a b": "a b", "a%2520b": "a%20b", "50%": "50%", "a%zz%20": "a%zz%20", "./a": "a", "a//b": "a/b", "a+b": "a+b",
		"s3a://lake/t/a%20b": "a b", "S3N://lake/t/a": "a", "s3://lake/t//a": "a", "/t/a": "a", "p=10:30/a": "p=10:30/a", "p=k:/a": "p=k:/a",
	} {
		p := Root("s3://lake/t").Read(raw)
		if p.Key != want || !p.Inside {
			t.Errorf("%s means %q (inside: %v), want %q", raw, p.Key, p.Inside, want)
		}
	}
	for raw, want := range map[string]string{
		"file:/data/t/a": "a", "file:///data/t/a": "a", "file://host/data/t/a": "a", "/data/t/a%20b": "a b",
	} {
		if p := Root("/data/t").Read(raw); p.Key != want || !p.Inside {
			t.Errorf("%s means %q (inside: %v), want %q", raw, p.Key, p.Inside, want)
		}
	}
}

func TestPathsElsewhereKeepTheirPlaceAndName(t *testing.T) {
	for raw, want := range map[string]Path{
		"s3a://other/t/a": {Key: "s3://other/t/a", Base: "a"}, "/u/a": {Key: "s3://lake/u/a", Base: "a"}, "s3://lake/t2/a": {Key: "s3://lake/t2/a", Base: "a"},
		"file:/data/t/a": {Key: "/data/t/a", Base: "a"}, "hdfs://host/t/a": {Key: "hdfs://host/t/a", Base: "a"}, "s3://lake/t/../u/a": {Key: "s3://lake/u/a", Base: "a"},
	} {
		if p := Root("s3://lake/t").Read(raw); p.Key != want.Key || p.Inside || p.Base != want.Base {
			t.Errorf("%s means %+v, want %+v", raw, p, want)
		}
	}
}

func TestOtherSpellingsOfAPathAreKnown(t *testing.T) {
	for raw, want := range map[string][]string{
		"a%2520b": {"a%2520b", "a b"}, "a": nil, "a%20b": {"a%20b"}, "é": {"e\u0301"}, "a//b": {"a//b"}, "s3a://lake/t//a": {"/a"}, "./a": {"./a"}, "%C3%A9": {"%C3%A9", "e\u0301"},
	} {
		if p := Root("s3://lake/t").Read(raw); !slices.Equal(slices.Sorted(slices.Values(p.Others)), slices.Sorted(slices.Values(want))) {
			t.Errorf("%s may mean %q too, want %q", raw, p.Others, want)
		}
	}
}

func TestVectorsAreInTheFileThatTheProtocolNames(t *testing.T) {
	// The example in Delta's protocol.
	v := Vector{Type: "u", Path: "ab^-aqEH.-t@S}K{vb[*k^"}
	if got, _, _, err := v.File(); err != nil || got != "ab/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin" {
		t.Errorf("%s, %v", got, err)
	}
	for _, bad := range []Vector{{Type: "u", Path: "short"}, {Type: "u", Path: "ab^-aqEH.-t@S}K{vb[~~~"}, {Type: "u", Path: "%%%%%%%%%%%%%%%%%%%%"}, {Type: "r", Path: "x"}} {
		if file, _, _, err := bad.File(); bad.Path != "%%%%%%%%%%%%%%%%%%%%" && err == nil {
			t.Errorf("%+v is in %s", bad, file)
		}
	}
}

func TestNamesOfTheLogAreReadStrictly(t *testing.T) {
	const v, uuid = "00000000000000000012", "80a083e8-7026-4e79-81be-64bd76c43a11"
	for name, want := range map[string]LogKind{
		v + ".json": LogCommit, v + ".crc": LogSum, v + ".checkpoint.parquet": LogCheckpoint, v + ".checkpoint.0000000001.0000000002.parquet": LogCheckpointPart,
		v + ".checkpoint." + uuid + ".json": LogCheckpointV2, v + ".checkpoint." + uuid + ".parquet": LogCheckpointV2, v + "." + v + ".compacted.json": LogCompacted,
		"_last_checkpoint": LogCheckpointHint,
		"12.json":          LogOther, v + ".json.tmp": LogOther, "." + v + ".json.crc": LogOther, v + ".checkpoint.0000000003.0000000002.parquet": LogOther,
		v + ".checkpoint.0000000000.0000000002.parquet": LogOther, v + ".checkpoint.x.json": LogOther, v + "x.json": LogOther, "_last_vacuum_info": LogOther,
		"-0000000000000000012.json": LogOther, v + ".checkpoint": LogOther, "": LogOther, v: LogOther, "99999999999999999999.json": LogOther,
	} {
		if got := ReadName(name, 1, at0); got.Kind != want || want != LogOther && want != LogCheckpointHint && got.Version != 12 {
			t.Errorf("%q is %d of version %d, want %d", name, got.Kind, got.Version, want)
		}
	}
}

// FuzzPath: whatever a path is, the file that it encodes is among those that it may mean.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{"a b", "a%20b", "p=é/x", "a//b", "./a", "s3a://lake/t/x", "50%", "%2e%2e/x", "a:/b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, file string) {
		encoded := (&url.URL{Path: "/" + file}).EscapedPath()[1:]
		if strings.Contains(file, "..") || strings.HasPrefix(file, "/") || strings.Contains(encoded, ":/") {
			return
		}
		p := Root("s3://lake/t").Read(encoded)
		if want := clean(file); p.Key != want && !slices.Contains(p.Others, want) {
			t.Errorf("%q encodes %q and means %q or %q", encoded, want, p.Key, p.Others)
		}
	})
}
