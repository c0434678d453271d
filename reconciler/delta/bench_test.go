package delta_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"golang.org/x/sync/errgroup"

	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// BenchmarkPlan plans large tables with the agent's binary and with delta-rs, each in a process of its own, in
// turn, and says what each would have removed, by name and against what the generator knows, and then how much time and
// memory it took, beside bare lists. `make bench-delta` sets
//
//	FLUMEN_BENCH_AGENT      the agent's binary
//	FLUMEN_BENCH_DELTALAKE  Pythons that have the package deltalake, each another version of it, with a colon between them
//	FLUMEN_BENCH_SPARK      an image with Spark and Delta Lake
//	FLUMEN_BENCH_TABLES     a folder in which the tables are kept
//	FLUMEN_BENCH_SCALE      what their size is divided by; 1 is a million live files
//	FLUMEN_BENCH_COUNT      how many rounds count
//
// and, for what is not always measured,
//
//	FLUMEN_BENCH_LARGEST    anything: F4 too
//	FLUMEN_TEST_MINIO       an image of MinIO: a table of 100,000 files in one
//
// The tables: F1 has one level of folders and a classic checkpoint; F2 a V2 checkpoint and deletion vectors of
// one file in twenty; F3 two levels; F5 has 300,000 live files, and Spark has written its log, with a checkpoint in
// parts; F6 has few files to go. Each is on a disk, and in a store that takes 20 ms for each answer; and each by a
// list of all files, and by the log alone (lite). The series is F1 in four sizes.
func BenchmarkPlan(b *testing.B) {
	scale := 1
	if text := os.Getenv("FLUMEN_BENCH_SCALE"); text != "" {
		var err error
		if scale, err = strconv.Atoi(text); err != nil || scale < 1 {
			b.Fatalf("FLUMEN_BENCH_SCALE is %q, want a number", text)
		}
	}
	if os.Getenv("FLUMEN_BENCH_AGENT") == "" {
		b.Skip("FLUMEN_BENCH_AGENT is not set: run make bench-delta")
	}
	f1 := likeF1(1_000_000 / scale)
	f2, f3, f6 := f1, f1, f1
	f2.Sidecars, f2.Vectors = 10, 20
	f3.Hours = 100
	f6.Dead, f6.Orphans = max(1, 100/scale), 0
	for _, t := range []struct {
		name string
		deltatest.Large
	}{{"F1", f1}, {"F2", f2}, {"F3", f3}, {"F6", f6}} {
		b.Run(t.name, func(b *testing.B) { benchGenerated(b, t.Large, fmt.Sprintf("%s-%d", t.name, scale)) })
	}
	b.Run("F5", func(b *testing.B) { benchWritten(b, max(1, 1000/scale), scale) })
	b.Run("series", func(b *testing.B) { benchSeries(b, scale) })
	if os.Getenv("FLUMEN_BENCH_LARGEST") != "" {
		f4 := deltatest.Large{Live: 10_000_000 / scale, Orphans: 200_000 / scale, Commits: 1000, Checkpoint: 990, Days: 365, Trimmed: true, Now: time.Now()}
		b.Run("F4", func(b *testing.B) {
			b.Run("s3", func(b *testing.B) { benchInMemory(b, f4, race{cold: true}) })
		})
	}
	if os.Getenv(enginetest.MinIOVariable) != "" {
		few := deltatest.Large{Live: 80_000 / scale, Dead: 10_000 / scale, Orphans: 10_000 / scale, Commits: 1000, Checkpoint: 990, Days: 365}
		b.Run("minio", func(b *testing.B) { benchMinIO(b, few) })
	}
}

// likeF1 is F1 with so many live files.
func likeF1(live int) deltatest.Large {
	return deltatest.Large{Live: live, Dead: live / 10, Orphans: live / 10, Commits: live / 100, Checkpoint: live/100 - 10, Days: 365, Now: time.Now()}
}

// benchGenerated plans a table of the generator.
func benchGenerated(b *testing.B, l deltatest.Large, name string) {
	digest, err := l.Digest()
	if err != nil {
		b.Fatal(err)
	}
	benchLarge(b, kept(b, name, digest, l.Write), func(*testing.B, string) truth { return truthOf(l) })
}

// kept gives a folder with a table, which write makes unless there is one with the same digest.
func kept(b *testing.B, name, digest string, write func(table string) error) (dir string) {
	dir = filepath.Join(os.Getenv("FLUMEN_BENCH_TABLES"), name)
	b.Logf("the table %s is in %s, its digest is %s", name, dir, digest)
	note := filepath.Join(dir, "digest")
	if old, err := os.ReadFile(note); err == nil && string(old) == digest {
		return dir
	}
	err := os.RemoveAll(dir)
	if err == nil {
		err = write(tableIn(dir))
	}
	if err == nil {
		err = os.WriteFile(note, []byte(digest), 0o644)
	}
	if err != nil {
		b.Fatal(err)
	}
	return dir
}

func tableIn(dir string) string { return filepath.Join(dir, "lake.db", "large") }

// benchLarge plans the table of a folder, there and in a store.
func benchLarge(b *testing.B, dir string, of func(b *testing.B, table string) truth) {
	t := of(b, tableIn(dir))
	in := func(b *testing.B) race {
		spec := "stores: {large: {path: " + dir + "}}\nretention: {discover: [{store: large}]"
		return race{truth: t, spec: spec, table: tableIn(dir), spark: tableIn(dir), floors: folderFloors(b, tableIn(dir))}
	}
	b.Run("folder", func(b *testing.B) { compare(b, in(b)) })
	b.Run("folder-lite", func(b *testing.B) { compare(b, in(b).lightly()) })
	inStore := func(b *testing.B) race {
		s, err := deltatest.NewSlowS3(dir, "lake", answersIn)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(s.Close)
		return inSlowS3(b, s, race{truth: t})
	}
	b.Run("s3", func(b *testing.B) { compare(b, inStore(b)) })
	b.Run("s3-lite", func(b *testing.B) { compare(b, inStore(b).lightly()) })
}

// answersIn is what a store takes for an answer.
const answersIn = 20 * time.Millisecond

// benchWritten plans a table that Spark has written, with so many files in each folder.
func benchWritten(b *testing.B, files, scale int) {
	image := os.Getenv("FLUMEN_BENCH_SPARK")
	if image == "" {
		b.Skip("FLUMEN_BENCH_SPARK is not set, and nobody else writes this table")
	}
	const program = "testdata/large_spark.py"
	content, err := os.ReadFile(program)
	if err != nil {
		b.Fatal(err)
	}
	live := 300*files + 11
	digest := fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(content, "%d", files)))[:16]
	dir := kept(b, fmt.Sprintf("F5-%d", scale), digest, func(dir string) error {
		folder := filepath.Dir(dir)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
		// Its files are to be the caller's, whose name Spark wants to know.
		as := fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid())
		out, err := python(b, image, program, []string{"--user", as, "-e", "HOME=/tmp", "-v", "/etc/passwd:/etc/passwd:ro", "-v", folder + ":/lake"}, "/lake", strconv.Itoa(files))
		if says := strings.TrimSpace(out); err == nil && says != strconv.Itoa(live) {
			err = fmt.Errorf("Spark says that %s files are live, want %d", says, live)
		}
		return err
	})
	benchLarge(b, dir, truthOfNames)
}

// truthOfNames is that of a table whose files say by their names what they are. Those that Spark has named are live.
func truthOfNames(b *testing.B, table string) truth {
	t, all := truth{}, map[string]deltatest.Fate{}
	err := filepath.WalkDir(table, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		key := path[len(table)+1:]
		switch name := d.Name(); {
		case strings.HasPrefix(key, "_delta_log/"):
			all[key] = deltatest.Needed
		case strings.HasPrefix(name, ".") || !strings.HasSuffix(name, ".parquet"): // sums, which are hidden
		case strings.HasPrefix(name, "part-dead"):
			all[key] = deltatest.Dead
			t.dead++
		case strings.HasPrefix(name, "part-orphan"):
			all[key] = deltatest.Orphan
			t.orphans++
		default:
			all[key] = deltatest.Needed
			t.live++
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	t.fate = func(key string) deltatest.Fate { return all[key] }
	return t
}

// pythonLasts is when a container is ended in any case, in seconds: also one that nobody waits for any more.
const pythonLasts = "7200"

// python has an image's Python run a program, with these options of docker run, and gives what it printed.
func python(b *testing.B, image, program string, options []string, argv ...string) (string, error) {
	program, err := filepath.Abs(program)
	if err != nil {
		return "", err
	}
	run := append([]string{"run", "--rm", "-v", program + ":/program.py:ro", "--entrypoint", "timeout"}, options...)
	cmd := exec.CommandContext(b.Context(), "docker", append(append(run, image, pythonLasts, "python3", "/program.py"), argv...)...)
	cmd.Stderr = b.Output()
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", program, err, out)
	}
	return string(out), err
}

// benchInMemory plans a table that is in no folder, in a store that takes its time. One of ten million files has nothing
// but the checkpoint and what came after it.
func benchInMemory(b *testing.B, l deltatest.Large, r race) took {
	s, err := deltatest.NewSlowS3Of(l, "lake", "lake.db/large", answersIn)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	r.truth = truthOf(l)
	return compare(b, inSlowS3(b, s, r))
}

// benchSeries plans tables that are twice as large each time, and says what each million of files takes.
func benchSeries(b *testing.B, scale int) {
	var rows strings.Builder
	var first float64
	for _, live := range []int{250_000, 500_000, 1_000_000, 2_000_000} {
		l := likeF1(live / scale)
		b.Run(strconv.Itoa(l.Live), func(b *testing.B) {
			t := benchInMemory(b, l, race{alone: true})
			files := l.Live + l.Dead + l.Orphans
			per := middle(t.wall).Seconds() / float64(files) * 1e6
			if first == 0 {
				first = per
			}
			fmt.Fprintf(&rows, "| %s | %s | %s | %.0f MiB | %.2f s | %.2f s | %.2f |\n", grouped(files), seconds(t.wall), seconds(t.cpu), middle(t.peak),
				per, middle(t.cpu).Seconds()/float64(files)*1e6, per/first)
		})
	}
	b.Logf("what files take\n\n| files | time | CPU | peak memory | time of a million | CPU of a million | time of each, the first is 1 |\n| --- | --- | --- | --- | --- | --- | --- |\n%s", &rows)
}

// benchMinIO plans a table in a MinIO of this machine, and removes what may go from others like it.
func benchMinIO(b *testing.B, l deltatest.Large) {
	l.Now = time.Now()
	address := enginetest.MinIO(b)
	store, err := minio.New(address, &minio.Options{Creds: credentials.NewStaticV4(enginetest.MinIOUser, enginetest.MinIOPassword, "")})
	if err == nil {
		err = store.MakeBucket(b.Context(), "lake", minio.MakeBucketOptions{})
	}
	if err != nil {
		b.Fatal(err)
	}
	there := sync.OnceFunc(func() { upload(b, store, "lake.db/large/", l) })
	in := func(b *testing.B) race {
		there()
		return inS3(b, "http://"+address, enginetest.MinIOUser, enginetest.MinIOPassword, race{truth: truthOf(l)})
	}
	b.Run("all", func(b *testing.B) { compare(b, in(b)) })
	b.Run("lite", func(b *testing.B) { compare(b, in(b).lightly()) })
	l.Live /= 4 // to upload one takes minutes
	b.Run("removal", func(b *testing.B) { benchRemoval(b, store, "http://"+address, l) })
}

// upload writes a table into the bucket lake.
func upload(b *testing.B, store *minio.Client, folder string, l deltatest.Large) {
	b.Helper()
	var uploads errgroup.Group
	uploads.SetLimit(32)
	put := func(name string, content []byte, written time.Time) error {
		uploads.Go(func() error {
			options := minio.PutObjectOptions{Internal: minio.AdvancedPutOptions{SourceMTime: written}}
			_, err := store.PutObject(b.Context(), "lake", folder+name, bytes.NewReader(content), int64(len(content)), options)
			return err
		})
		return nil
	}
	err := l.Data(func(key string, written time.Time) error { return put(key, []byte{0}, written) })
	if err == nil {
		err = l.Log(func(name string, content []byte, written time.Time) error {
			return put("_delta_log/"+name, content, written)
		})
	}
	if err := errors.Join(err, uploads.Wait()); err != nil {
		b.Fatal(err)
	}
}

// inSlowS3 is a table in a store that counts what it is asked, and takes any key.
func inSlowS3(b *testing.B, s *deltatest.SlowS3, r race) race {
	r.calls = func() requests { return requests{s.Lists.Swap(0), s.Gets.Swap(0), s.Heads.Swap(0)} }
	return inS3(b, s.URL, "reader", "readers-secret", r)
}

// inS3 is a table in a bucket.
func inS3(b *testing.B, url, user, secret string, r race) race {
	r.spec = fmt.Sprintf("stores: {large: {endpoint: %q, access_key: %s, secret_key: %s, region: us-east-1}}\nretention: {discover: [{store: large, prefix: lake/lake.db}]", url, user, secret)
	r.table, r.endpoint, r.user, r.secret = "s3://lake/lake.db/large", url, user, secret
	r.floors = storeFloors(b, r, "lake.db/large/")
	return r
}
