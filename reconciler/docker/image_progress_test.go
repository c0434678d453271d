package docker

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPullProgressSumsTheLayers(t *testing.T) {
	t.Parallel()
	said := `{"status":"Pulling fs layer","id":"a"}
{"status":"Downloading","id":"a","progressDetail":{"current":10,"total":100}}
{"status":"Downloading","id":"b","progressDetail":{"current":5,"total":50}}
{"status":"Download complete","id":"a"}
{"status":"Extracting","id":"a","progressDetail":{"current":20,"total":100}}
{"status":"Download complete","id":"b"}
{"status":"Extracting","id":"b","progressDetail":{"current":3,"units":"s"}}
{"status":"Pull complete","id":"a"}
`
	var p told
	if err := eachMessage(strings.NewReader(said), newPullProgress(&p).take); err != nil {
		t.Fatal(err)
	}
	want := []doing{
		{"pulling", 10, 100}, {"pulling", 15, 150}, {"pulling", 105, 150}, {"pulling", 105, 150},
		{"unpacking", 20, 100}, {"unpacking", 20, 100}, {"unpacking", 100, 100},
	}
	if diff := cmp.Diff(want, p.doing, cmp.AllowUnexported(doing{})); diff != "" {
		t.Error(diff)
	}
}

func TestAnErrorInTheMiddleOfAPullIsItsError(t *testing.T) {
	t.Parallel()
	said := `{"status":"Pulling fs layer","id":"a"}
{"errorDetail":{"message":"no space left on device"},"error":"no space left on device"}
`
	var p told
	mustSay(t, eachMessage(strings.NewReader(said), newPullProgress(&p).take), "no space left on device")
}
