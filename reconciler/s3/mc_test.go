package s3

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// mcCases are what a person does to a bucket with MinIO's own client, mc, which knows the store
// as "lake": each a command in words, where BUCKET is the bucket and DIR a folder, of which a
// file may be read behind "<". Fields are those that are found to differ then.
var mcCases = map[string]struct {
	declare func(*spec.Bucket)
	does    []string
	fields  []string
}{
	"version suspend":         {func(b *spec.Bucket) { b.Versioning = spec.VersioningEnabled }, []string{"version suspend lake/BUCKET"}, []string{"versioning"}},
	"version enable":          {func(b *spec.Bucket) { b.Versioning = spec.VersioningSuspended }, []string{"version enable lake/BUCKET"}, []string{"versioning"}},
	"tag set":                 {mcTags, []string{"tag set lake/BUCKET owner=me&cost=42&team=x"}, []string{"tag.owner"}},
	"tag remove":              {mcTags, []string{"tag remove lake/BUCKET"}, []string{"tag.cost", "tag.owner"}},
	"ilm rule add":            {mcRules, []string{"ilm rule add --prefix logs/ --expire-days 1 lake/BUCKET"}, []string{"lifecycle.?"}},
	"ilm rule edit":           {mcRules, []string{"ilm rule edit --id old --noncurrent-expire-days 1 lake/BUCKET"}, []string{"lifecycle.old"}},
	"ilm rule disable":        {mcRules, []string{"ilm rule edit --id temporary --disable lake/BUCKET"}, []string{"lifecycle.temporary"}},
	"ilm rule edit tags":      {mcFilters, []string{"ilm rule edit --id tagged --tags a=2 lake/BUCKET"}, []string{"lifecycle.tagged"}},
	"ilm rule import larger":  {mcFilters, []string{"ilm rule import lake/BUCKET < DIR/larger.json"}, []string{"lifecycle.sized"}},
	"ilm rule import smaller": {mcFilters, []string{"ilm rule import lake/BUCKET < DIR/smaller.json"}, []string{"lifecycle.sized"}},
	"ilm rule import prefix":  {mcFilters, []string{"ilm rule import lake/BUCKET < DIR/prefix.json"}, []string{"lifecycle.sized"}},
	"ilm rule remove":         {mcRules, []string{"ilm rule remove --id old lake/BUCKET"}, []string{"lifecycle.old"}},
	"ilm rule remove all": {mcRules, []string{"ilm rule remove --all --force lake/BUCKET"},
		[]string{"lifecycle.old", "lifecycle.temporary"}},
	"quota set":     {func(b *spec.Bucket) { b.Quota = 5 << 30 }, []string{"quota set lake/BUCKET --size 1GiB"}, []string{"quota"}},
	"quota clear":   {func(b *spec.Bucket) { b.Quota = 5 << 30 }, []string{"quota clear lake/BUCKET"}, []string{"quota"}},
	"encrypt set":   {func(b *spec.Bucket) { b.Encryption = byServer }, []string{"encrypt set sse-kms " + enginetest.MinIOKey + " lake/BUCKET"}, []string{"encryption"}},
	"encrypt clear": {func(b *spec.Bucket) { b.Encryption = byServer }, []string{"encrypt clear lake/BUCKET"}, []string{"encryption"}},
	"retention set": {mcLock, []string{"retention set --default compliance 9d lake/BUCKET"}, []string{"lock.retention"}},
	"retention clear": {mcLock, []string{"retention clear --default lake/BUCKET"},
		[]string{"lock.retention"}},
	"anonymous set": {func(b *spec.Bucket) { b.Policy = reading(b, "arn:aws:iam::123456789012:root") },
		[]string{"anonymous set public lake/BUCKET"}, []string{"policy"}},
	"anonymous set-json": {func(b *spec.Bucket) { b.Policy = reading(b, "*") },
		[]string{"anonymous set-json DIR/open.json lake/BUCKET"}, []string{"policy"}},
	"anonymous set none": {func(b *spec.Bucket) { b.Policy = reading(b, "*") }, []string{"anonymous set none lake/BUCKET"}, []string{"policy"}},
	"everything of an exact bucket": {func(b *spec.Bucket) { b.Exact = true }, []string{
		"version enable lake/BUCKET", "tag set lake/BUCKET team=x", "quota set lake/BUCKET --size 1GiB", "encrypt set sse-s3 lake/BUCKET",
		"ilm rule add --expire-days 1 lake/BUCKET", "anonymous set download lake/BUCKET",
	}, []string{"encryption", "lifecycle.?", "policy", "quota", "tag.team", "versioning"}},
}

func mcTags(b *spec.Bucket) { b.Tags = map[string]string{"owner": "data", "cost": "42"} }

func mcLock(b *spec.Bucket) { b.Lock = &spec.Lock{On: true, Mode: "governance", Days: 3} }

func mcRules(b *spec.Bucket) {
	b.Lifecycle = []spec.LifecycleRule{{ID: "old", NoncurrentDays: 30}, {ID: "temporary", Prefix: "tmp/", Days: 7}}
}

func mcFilters(b *spec.Bucket) {
	b.Lifecycle = []spec.LifecycleRule{{ID: "sized", Larger: 1 << 20, Smaller: 1 << 30, Days: 30}, {ID: "tagged", Tags: map[string]string{"a": "1"}, Days: 7}}
}

// mcImports change one condition each of the rule "sized", which mc cannot do in a rule that is
// there.
var mcImports = map[string]string{
	"larger.json":  `"ObjectSizeGreaterThan": 2097152, "ObjectSizeLessThan": 1073741824`,
	"smaller.json": `"ObjectSizeGreaterThan": 1048576, "ObjectSizeLessThan": 2147483648`,
	"prefix.json":  `"Prefix": "tmp/", "ObjectSizeGreaterThan": 1048576, "ObjectSizeLessThan": 1073741824`,
}

// TestWhatAnotherClientChangesIsFoundByTheFieldAndSetRight drifts each attribute of buckets and
// users with mc, and runs the agent on it.
func TestWhatAnotherClientChangesIsFoundByTheFieldAndSetRight(t *testing.T) {
	program, address := enginetest.Program(t, enginetest.MCVariable), enginetest.MinIO(t)
	for name, c := range mcCases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, address)
			b := w.bucket()
			c.declare(b)
			want := w.desired(b)
			mc := newMC(w, program, "BUCKET", b.Name)
			mc.write("open.json", strings.ReplaceAll(writes, `"Effect": "Allow"`, `"Effect": "Allow", "Principal": "*"`), "lake", b.Name)
			for name, filter := range mcImports {
				mc.write(name, `{"Rules": [{"ID": "sized", "Status": "Enabled", "Filter": {"And": {`+filter+`}}, "Expiration": {"Days": 30}},
					{"ID": "tagged", "Status": "Enabled", "Filter": {"Tag": {"Key": "a", "Value": "1"}}, "Expiration": {"Days": 7}}]}`)
			}
			w.observe(want)
			w.mustApply(plan.Create{Want: b})
			w.must(want, b, "")
			for _, words := range c.does {
				mc.do(words)
			}
			d := w.must(want, b, drift.Changed)
			if names := fieldNames(d.Fields); !slices.EqualFunc(names, c.fields, sameField) {
				t.Errorf("%v differ, want %v", names, c.fields)
			}
			w.mustConverge(want)
		})
	}
	for name, c := range mcUserCases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, address)
			a := w.user(reads)
			want := w.wanting(a)
			mc := newMC(w, program, "USER", a.User, "POLICY", mark{true, want.Project, a.User}.String())
			mc.write("writes.json", writes)
			w.observe(want)
			w.mustApply(plan.Create{Want: a})
			w.differs(want, a, "")
			for _, words := range c.does {
				mc.do(words)
			}
			w.differs(want, a, c.verdict, c.fields...)
			w.mustConverge(want)
		})
	}
}

// mcUserCases are what a person does to a user, USER, whose own policy is POLICY.
var mcUserCases = map[string]struct {
	does    []string
	verdict drift.Verdict
	fields  []string
}{
	"admin user disable":            {[]string{"admin user disable lake USER"}, drift.Changed, []string{"enabled"}},
	"admin user add":                {[]string{"admin user add lake USER somebody-elses-secret"}, drift.Changed, []string{"secret"}},
	"admin user remove":             {[]string{"admin user remove lake USER"}, drift.Missing, nil},
	"admin policy attach":           {[]string{"admin policy attach lake readwrite --user USER"}, drift.Changed, []string{"policy"}},
	"admin policy detach":           {[]string{"admin policy detach lake POLICY --user USER"}, drift.Changed, []string{"policy"}},
	"admin policy create":           {[]string{"admin policy create lake POLICY DIR/writes.json"}, drift.Changed, []string{"policy"}},
	"admin policy attach another":   {[]string{"admin policy detach lake POLICY --user USER", "admin policy attach lake writeonly --user USER"}, drift.Changed, []string{"policy"}},
	"everything of a user":          {[]string{"admin user add lake USER another-secret", "admin policy attach lake readwrite --user USER"}, drift.Changed, []string{"policy", "secret"}},
	"admin user disable and policy": {[]string{"admin user disable lake USER", "admin policy create lake POLICY DIR/writes.json"}, drift.Changed, []string{"enabled", "policy"}},
}

// sameField tells whether a field is the one that was expected: mc gives a rule a name by chance.
func sameField(have, want string) bool {
	prefix, any := strings.CutSuffix(want, "?")
	return have == want || any && strings.HasPrefix(have, prefix)
}

// mc is MinIO's own client, with the keys of a world's store.
type mc struct {
	*world
	program string
	dir     string
	words   *strings.Replacer
}

// newMC makes one in whose commands the first of each two words stands for the second.
func newMC(w *world, program string, words ...string) *mc {
	dir := w.TempDir()
	return &mc{w, program, dir, strings.NewReplacer(append(words, "DIR", dir)...)}
}

// write makes a file in its folder, with words replaced.
func (m *mc) write(name, text string, words ...string) {
	m.Helper()
	m.ok(os.WriteFile(filepath.Join(m.dir, name), []byte(strings.NewReplacer(words...).Replace(text)), 0o600))
}

func (m *mc) do(words string) {
	m.Helper()
	args, input, _ := strings.Cut(m.words.Replace(words), " < ")
	cmd := exec.CommandContext(m.Context(), m.program, strings.Fields(args)...)
	if input != "" {
		file, err := os.Open(input)
		m.ok(err)
		defer file.Close()
		cmd.Stdin = file
	}
	cmd.Env = []string{"HOME=" + m.dir, "MC_CONFIG_DIR=" + filepath.Join(m.dir, "mc"), "MC_HOST_lake=http://" + enginetest.MinIOUser + ":" + enginetest.MinIOPassword + "@" + m.store.Endpoint}
	if out, err := cmd.CombinedOutput(); err != nil {
		m.Fatalf("mc %s: %v\n%s", words, err, out)
	}
}
