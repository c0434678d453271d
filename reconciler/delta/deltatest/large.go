package deltatest

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
)

// Large is a table for measurements, of any size. The same values make the same table. The first half of its
// commits adds the files that are removed later, the rest of it those that stay.
type Large struct {
	Live       int  // files of the newest version
	Dead       int  // files that were removed long ago, and are still there
	Orphans    int  // files that no version ever knew
	Commits    int  // how many versions
	Checkpoint int  // the version that has a checkpoint; 0: none has
	Days       int  // folders of the first level
	Hours      int  // folders in each of them; 0: there is no second level
	Vectors    int  // every so many live files have a deletion vector; 0: none has
	Sidecars   int  // of the checkpoint, which is a V2 then; 0: it is a classic one
	Trimmed    bool // the log begins with the checkpoint
	Now        time.Time
}

// The names of files say what they are, so that any list of files can be judged by them.
const (
	liveFile   = "part-live"
	deadFile   = "part-dead"
	orphanFile = "part-orphan"
	vectorFile = "deletion_vector_"
)

// sharers is how many files have their deletion vectors in the same file.
const sharers = 10

// When things happened, as ages: everything dead has been so for longer than any rule of a measurement says.
const (
	largeBegan   = 90 * 24 * time.Hour
	largeRemoved = 40 * 24 * time.Hour // the last removal
)

func (l Large) folder(n int) string {
	day := n % l.Days
	if l.Hours == 0 {
		return fmt.Sprintf("day=%03d/", day)
	}
	return fmt.Sprintf("day=%03d/hour=%03d/", day, n/l.Days%l.Hours)
}

func (l Large) live(n int) string {
	return fmt.Sprintf("%s%s-%09d.snappy.parquet", l.folder(n), liveFile, n)
}
func (l Large) dead(n int) string {
	return fmt.Sprintf("%s%s-%09d.snappy.parquet", l.folder(n), deadFile, n)
}
func (l Large) orphan(n int) string {
	return fmt.Sprintf("%s%s-%09d.snappy.parquet", l.folder(n), orphanFile, n)
}

// vector is the deletion vector of a live file; nil for most.
func (l Large) vector(n int) *Vector {
	if l.Vectors == 0 || n%l.Vectors != 0 {
		return nil
	}
	_, encoded := l.vectorName(n)
	offset := int32(1 + n/l.Vectors%sharers*40)
	return &Vector{"u", encoded, &offset}
}

// vectorName is the file of the vector of a live file, and how the log names that.
func (l Large) vectorName(n int) (name, encoded string) {
	var id [16]byte
	binary.BigEndian.PutUint64(id[8:], uint64(n/l.Vectors/sharers+1))
	h := hex.EncodeToString(id[:])
	return vectorFile + strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-") + ".bin", z85(id[:])
}

// z85 is ZeroMQ's base 85, in which logs write the names of deletion vectors.
func z85(raw []byte) string {
	const digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
	var all []byte
	for ; len(raw) > 0; raw = raw[4:] {
		n := binary.BigEndian.Uint32(raw)
		group := make([]byte, 5)
		for i := range group {
			group[len(group)-1-i] = digits[n%85]
			n /= 85
		}
		all = append(all, group...)
	}
	return string(all)
}

// at is when a version was written: in even steps from the first to the last removal.
func (l Large) at(version int) time.Time {
	step := (largeBegan - largeRemoved) / time.Duration(l.Commits)
	return l.Now.Add(-largeBegan + time.Duration(version)*step)
}

// Data calls each with every file of the data and when it was written.
func (l Large) Data(each func(key string, written time.Time) error) error {
	old := l.Now.Add(-largeBegan)
	names := []func(int) (string, bool){
		func(n int) (string, bool) { return l.live(n), n < l.Live },
		func(n int) (string, bool) { return l.dead(n), n < l.Dead },
		func(n int) (string, bool) { return l.orphan(n), n < l.Orphans },
		func(n int) (string, bool) {
			if l.Vectors == 0 || n*l.Vectors*sharers >= l.Live {
				return "", false
			}
			name, _ := l.vectorName(n * l.Vectors * sharers)
			return name, true
		},
	}
	for _, name := range names {
		for n := 0; ; n++ {
			key, more := name(n)
			if !more {
				break
			}
			if err := each(key, old); err != nil {
				return err
			}
		}
	}
	return nil
}

// Write makes the table in a folder that is not there yet. Each file of the data has one byte.
func (l Large) Write(dir string) error {
	made := map[string]bool{}
	folder := func(path string) error {
		if made[path] {
			return nil
		}
		made[path] = true
		return os.MkdirAll(path, 0o755)
	}
	err := l.Data(func(key string, written time.Time) error {
		path := filepath.Join(dir, key)
		if err := folder(filepath.Dir(path)); err != nil {
			return err
		}
		return writeAt(path, []byte{0}, written)
	})
	if err != nil {
		return err
	}
	return l.Log(func(name string, content []byte, written time.Time) error {
		path := filepath.Join(dir, "_delta_log", name)
		if err := folder(filepath.Dir(path)); err != nil {
			return err
		}
		return writeAt(path, content, written)
	})
}

func writeAt(path string, content []byte, written time.Time) error {
	if err := os.WriteFile(path, content, 0o644); err != nil {
		return err
	}
	return os.Chtimes(path, written, written)
}

// Log calls each with every file of the log.
func (l Large) Log(each func(name string, content []byte, written time.Time) error) error {
	if l.Commits < 3 {
		return errors.New("a large table has three versions at least")
	}
	first := 0
	if l.Trimmed {
		first = l.Checkpoint
	}
	for version := first; version < l.Commits; version++ {
		name := fmt.Sprintf("%020d.json", version)
		if err := each(name, []byte(l.commit(version)), l.at(version)); err != nil {
			return err
		}
	}
	if l.Checkpoint == 0 {
		return nil
	}
	return l.checkpoint(each)
}

// share are the numbers of things of a version, where count things are spread evenly over versions from one to
// another.
func share(count, version, from, to int) (first, last int) {
	if version < from || version >= to {
		return 0, 0
	}
	n := to - from
	return count * (version - from) / n, count * (version - from + 1) / n
}

// added are the live files of a version; all versions after the first add some.
func (l Large) added(version int) (first, last int) { return share(l.Live, version, 1, l.Commits) }

// commit is a version: it adds live files, and in the first half those that the second half removes.
func (l Large) commit(version int) string {
	var b strings.Builder
	at := l.at(version).UnixMilli()
	fmt.Fprintf(&b, `{"commitInfo":{"timestamp":%d,"operation":"WRITE","operationParameters":{"mode":"Append"},"isolationLevel":"Serializable","isBlindAppend":true,"engineInfo":"Apache-Spark/4.0.1 Delta-Lake/4.0.1"}}`+"\n", at)
	if version == 0 {
		b.WriteString(encode(map[string]any{"protocol": l.protocol()}) + "\n" + encode(map[string]any{"metaData": l.metadata()}) + "\n")
		return b.String()
	}
	half := l.Commits / 2
	first, last := l.added(version)
	for n := first; n < last; n++ {
		writeAdd(&b, l.live(n), l.vector(n), at)
	}
	first, last = share(l.Dead, version, 1, half)
	for n := first; n < last; n++ {
		writeAdd(&b, l.dead(n), nil, at)
	}
	first, last = share(l.Dead, version, half, l.Commits)
	for n := first; n < last; n++ {
		fmt.Fprintf(&b, `{"remove":{"path":%q,"deletionTimestamp":%d,"dataChange":true,"extendedFileMetadata":true,"partitionValues":{%s},"size":1}}`+"\n", l.dead(n), at, partition(l.dead(n)))
	}
	return b.String()
}

func writeAdd(b *strings.Builder, path string, v *Vector, at int64) {
	vector := ""
	if v != nil {
		vector = fmt.Sprintf(`,"deletionVector":{"storageType":"u","pathOrInlineDv":%q,"offset":%d,"sizeInBytes":36,"cardinality":2}`, v.Path, *v.Offset)
	}
	fmt.Fprintf(b, `{"add":{"path":%q,"partitionValues":{%s},"size":1,"modificationTime":%d,"dataChange":true,"stats":%q%s}}`+"\n", path, partition(path), at, largeStats, vector)
}

const largeStats = `{"numRecords":1000,"minValues":{"id":1,"at":"2026-01-01T00:00:00.000Z","name":"aaaaaaaa"},"maxValues":{"id":1000,"at":"2026-01-02T00:00:00.000Z","name":"zzzzzzzz"},"nullCount":{"id":0,"at":0,"name":0}}`

// partition are the values that a path has, as JSON without its braces.
func partition(path string) string {
	var all []string
	for _, folder := range strings.Split(path, "/") {
		if name, value, ok := strings.Cut(folder, "="); ok {
			all = append(all, fmt.Sprintf("%q:%q", name, value))
		}
	}
	return strings.Join(all, ",")
}

func (l Large) columns() []string {
	if l.Hours > 0 {
		return []string{"day", "hour"}
	}
	return []string{"day"}
}

func (l Large) protocol() Protocol {
	var features []string
	if l.Vectors > 0 {
		features = append(features, "deletionVectors")
	}
	if l.Sidecars > 0 {
		features = append(features, "v2Checkpoint")
	}
	if features == nil {
		return Protocol{Reader: 1, Writer: 2}
	}
	return Protocol{3, 7, features, features}
}

func (l Large) schema() string {
	fields := `{"name":"id","type":"long","nullable":true,"metadata":{}},{"name":"at","type":"timestamp","nullable":true,"metadata":{}},{"name":"name","type":"string","nullable":true,"metadata":{}}`
	for _, c := range l.columns() {
		fields += fmt.Sprintf(`,{"name":%q,"type":"string","nullable":true,"metadata":{}}`, c)
	}
	return `{"type":"struct","fields":[` + fields + `]}`
}

const largeID = "5fba94ed-9794-4965-ba6e-6ee3c0d22af9"

func (l Large) metadata() map[string]any {
	return map[string]any{
		"id": largeID, "format": map[string]any{"provider": "parquet", "options": map[string]string{}},
		"schemaString": l.schema(), "partitionColumns": l.columns(), "configuration": map[string]string{}, "createdTime": l.at(0).UnixMilli(),
	}
}

// The columns of a checkpoint as other readers want them: all that the protocol names.
type (
	largeRow struct {
		Add      *largeAdd      `parquet:"add,optional"`
		Remove   *largeRemove   `parquet:"remove,optional"`
		Metadata *largeMetadata `parquet:"metaData,optional"`
		Protocol *protocolRow   `parquet:"protocol,optional"`
		Top      *topRow        `parquet:"checkpointMetadata,optional"`
		Sidecar  *largeSidecar  `parquet:"sidecar,optional"`
	}
	largeAdd struct {
		Path       string            `parquet:"path,optional"`
		Partitions map[string]string `parquet:"partitionValues,optional"`
		Size       int64             `parquet:"size,optional"`
		Modified   int64             `parquet:"modificationTime,optional"`
		DataChange bool              `parquet:"dataChange,optional"`
		Stats      string            `parquet:"stats,optional"`
		Vector     *largeVector      `parquet:"deletionVector,optional"`
	}
	largeRemove struct {
		Path       string            `parquet:"path,optional"`
		Deleted    int64             `parquet:"deletionTimestamp,optional"`
		DataChange bool              `parquet:"dataChange,optional"`
		Partitions map[string]string `parquet:"partitionValues,optional"`
		Size       int64             `parquet:"size,optional"`
	}
	largeVector struct {
		Type        string `parquet:"storageType,optional"`
		Path        string `parquet:"pathOrInlineDv,optional"`
		Offset      int32  `parquet:"offset,optional"`
		Size        int32  `parquet:"sizeInBytes,optional"`
		Cardinality int64  `parquet:"cardinality,optional"`
	}
	largeMetadata struct {
		ID            string            `parquet:"id,optional"`
		Format        largeFormat       `parquet:"format,optional"`
		Schema        string            `parquet:"schemaString,optional"`
		Columns       []string          `parquet:"partitionColumns,list,optional"`
		Created       int64             `parquet:"createdTime,optional"`
		Configuration map[string]string `parquet:"configuration,optional"`
	}
	largeFormat struct {
		Provider string            `parquet:"provider,optional"`
		Options  map[string]string `parquet:"options,optional"`
	}
	largeSidecar struct {
		Path     string `parquet:"path,optional"`
		Size     int64  `parquet:"sizeInBytes,optional"`
		Modified int64  `parquet:"modificationTime,optional"`
	}
)

// checkpoint writes that of one version, as Spark does: what was removed is forgotten after a week, so that no
// removal is in it.
func (l Large) checkpoint(each func(string, []byte, time.Time) error) error {
	at := l.at(l.Checkpoint)
	p := l.protocol()
	rows := []largeRow{
		{Protocol: &protocolRow{int32(p.Reader), int32(p.Writer), p.ReaderFeatures, p.WriterFeatures}},
		{Metadata: &largeMetadata{largeID, largeFormat{"parquet", map[string]string{}}, l.schema(), l.columns(), l.at(0).UnixMilli(), map[string]string{}}},
	}
	name := fmt.Sprintf("%020d.checkpoint", l.Checkpoint)
	_, live := l.added(l.Checkpoint)
	if l.Sidecars == 0 {
		content, err := l.checkpointFile(rows, 0, live, l.stillThere())
		if err != nil {
			return err
		}
		return l.publish(each, name+".parquet", content, live+len(rows))
	}
	rows = append([]largeRow{{Top: &topRow{int64(l.Checkpoint)}}}, rows...)
	for i := range l.Sidecars {
		sidecar := fmt.Sprintf("016ae953-37a9-438e-8683-%012d.parquet", i)
		var dead []int
		if i == 0 {
			dead = l.stillThere()
		}
		content, err := l.checkpointFile(nil, live*i/l.Sidecars, live*(i+1)/l.Sidecars, dead)
		if err != nil {
			return err
		}
		if err := each("_sidecars/"+sidecar, content, at); err != nil {
			return err
		}
		rows = append(rows, largeRow{Sidecar: &largeSidecar{sidecar, int64(len(content)), at.UnixMilli()}})
	}
	content, err := l.checkpointFile(rows, 0, 0, nil)
	if err != nil {
		return err
	}
	return l.publish(each, name+".80a083e8-7026-4e79-81be-64bd76c43a11.parquet", content, live+len(rows))
}

// publish writes a checkpoint, and the hint that it is there.
func (l Large) publish(each func(string, []byte, time.Time) error, name string, content []byte, actions int) error {
	at := l.at(l.Checkpoint)
	if err := each(name, content, at); err != nil {
		return err
	}
	return each("_last_checkpoint", fmt.Appendf(nil, `{"version":%d,"size":%d}`, l.Checkpoint, actions), at)
}

// stillThere are the files that are removed after the checkpoint.
func (l Large) stillThere() []int {
	half := l.Commits / 2
	_, gone := share(l.Dead, l.Checkpoint, half, l.Commits)
	if l.Checkpoint < half {
		gone = 0
	}
	_, there := share(l.Dead, l.Checkpoint, 1, half)
	if l.Checkpoint >= half {
		there = l.Dead
	}
	var all []int
	for n := gone; n < there; n++ {
		all = append(all, n)
	}
	return all
}

// rowsAtOnce is how many rows are handed to the writer of a checkpoint together.
const rowsAtOnce = 10_000

// checkpointFile writes a file of a checkpoint: rows as they are, live files from one to another, and some that
// are not removed yet.
func (l Large) checkpointFile(rows []largeRow, from, to int, dead []int) ([]byte, error) {
	var b bytes.Buffer
	w := parquet.NewGenericWriter[largeRow](&b, parquet.Compression(&parquet.Snappy), parquet.MaxRowsPerRowGroup(200_000), parquet.CreatedBy("parquet-mr", "1.15.2", "made for a measurement"))
	put := func(r largeRow) error {
		if rows = append(rows, r); len(rows) < rowsAtOnce {
			return nil
		}
		_, err := w.Write(rows)
		rows = rows[:0]
		return err
	}
	for n := from; n < to; n++ {
		if err := put(largeRow{Add: l.addRow(l.live(n), l.vector(n))}); err != nil {
			return nil, err
		}
	}
	for _, n := range dead {
		if err := put(largeRow{Add: l.addRow(l.dead(n), nil)}); err != nil {
			return nil, err
		}
	}
	if _, err := w.Write(rows); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (l Large) addRow(path string, v *Vector) *largeAdd {
	values := map[string]string{}
	for _, folder := range strings.Split(path, "/") {
		if name, value, ok := strings.Cut(folder, "="); ok {
			values[name] = value
		}
	}
	one := &largeAdd{Path: path, Partitions: values, Size: 1, Modified: l.at(1).UnixMilli(), DataChange: true, Stats: largeStats}
	if v != nil {
		one.Vector = &largeVector{v.Type, v.Path, *v.Offset, 36, 2}
	}
	return one
}

// Made tells whether a folder holds a table that was written whole.
func Made(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "_delta_log", "_last_checkpoint"))
	return !errors.Is(err, fs.ErrNotExist)
}
