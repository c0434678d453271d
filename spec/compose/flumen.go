package compose

import (
	"reflect"
	"strings"
	"sync"

	"go.yaml.in/yaml/v4"
)

// root are the keys of flumen.yaml that Compose does not have. Those of Compose
// are read by compose-go.
type root struct {
	EnvFile   stringList        `yaml:"env_file"`
	Tiers     []tier            `yaml:"tiers"`
	Stores    map[string]store  `yaml:"stores"`
	Buckets   map[string]bucket `yaml:"buckets"`
	Retention retention         `yaml:"retention"`
	Drift     driftChecks       `yaml:"drift"`
	Consent   []consent         `yaml:"consent"`
	Windows   []window          `yaml:"windows"`
}

type tier struct {
	Name     string    `yaml:"name"`
	Timeout  string    `yaml:"timeout"`
	Services yaml.Node `yaml:"services"`
	Include  yaml.Node `yaml:"include"`
}

type window struct {
	Allow    string `yaml:"allow"`
	Deny     string `yaml:"deny"`
	Duration string `yaml:"duration"`
	Timezone string `yaml:"timezone"`
	Reason   string `yaml:"reason"`
}

type store struct {
	Service             string            `yaml:"service"`
	Port                int               `yaml:"port"`
	Endpoint            string            `yaml:"endpoint"`
	Path                string            `yaml:"path"`
	AccessKey           string            `yaml:"access_key"`
	AccessKeyFile       string            `yaml:"access_key_file"`
	SecretKey           string            `yaml:"secret_key"`
	SecretKeyFile       string            `yaml:"secret_key_file"`
	DeleteAccessKey     string            `yaml:"delete_access_key"`
	DeleteAccessKeyFile string            `yaml:"delete_access_key_file"`
	DeleteSecretKey     string            `yaml:"delete_secret_key"`
	DeleteSecretKeyFile string            `yaml:"delete_secret_key_file"`
	Region              string            `yaml:"region"`
	Secure              bool              `yaml:"secure"`
	CAFile              string            `yaml:"ca_file"`
	Timeout             string            `yaml:"timeout"`
	Retries             *int              `yaml:"retries"`
	Access              map[string]access `yaml:"access"`
}

type access struct {
	SecretKey string `yaml:"secret_key"`
	Policy    string `yaml:"policy"`
}

type bucket struct {
	Name       string            `yaml:"name"`
	Store      string            `yaml:"store"`
	Tier       string            `yaml:"tier"`
	Versioning string            `yaml:"versioning"`
	ObjectLock *objectLock       `yaml:"object_lock"`
	Lifecycle  []lifecycle       `yaml:"lifecycle"`
	Tags       map[string]string `yaml:"tags"`
	Quota      string            `yaml:"quota"`
	Policy     yaml.Node         `yaml:"policy"`
	Encryption string            `yaml:"encryption"`
	Exact      bool              `yaml:"exact"`
	CORS       yaml.Node         `yaml:"cors"`
}

type lifecycle struct {
	ID                         string            `yaml:"id"`
	Enabled                    *bool             `yaml:"enabled"`
	Prefix                     string            `yaml:"prefix"`
	Tags                       map[string]string `yaml:"tags"`
	LargerThan                 string            `yaml:"larger_than"`
	SmallerThan                string            `yaml:"smaller_than"`
	Days                       *int              `yaml:"days"`
	Date                       string            `yaml:"date"`
	NoncurrentDays             *int              `yaml:"noncurrent_days"`
	NewerNoncurrentVersions    *int              `yaml:"newer_noncurrent_versions"`
	ExpiredDeleteMarkers       bool              `yaml:"expired_delete_markers"`
	AbortIncompleteUploadsDays *int              `yaml:"abort_incomplete_uploads_days"`
}

// objectLock is true or false, or says for how long.
type objectLock struct {
	On    bool   `yaml:"-"`
	Mode  string `yaml:"mode"`
	Days  *int   `yaml:"days"`
	Years *int   `yaml:"years"`
}

// UnmarshalYAML takes both forms.
func (l *objectLock) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		return n.Decode(&l.On)
	}
	type mapping objectLock
	l.On = true
	return n.Decode((*mapping)(l))
}

type retention struct {
	Schedule  string          `yaml:"schedule"`
	Timezone  string          `yaml:"timezone"`
	Window    string          `yaml:"window"`
	Discover  []discover      `yaml:"discover"`
	Metastore *metastore      `yaml:"metastore"`
	Spark     *spark          `yaml:"spark"`
	Quiet     []window        `yaml:"quiet"`
	Defaults  retentionRule   `yaml:"defaults"`
	Rules     []retentionRule `yaml:"rules"`
	Unsafe    unsafe          `yaml:"unsafe"`
}

type discover struct {
	Store  string `yaml:"store"`
	Prefix string `yaml:"prefix"`
}

type metastore struct {
	Service string `yaml:"service"`
	Port    int    `yaml:"port"`
	URI     string `yaml:"uri"`
}

type spark struct {
	Service string `yaml:"service"`
	Timeout string `yaml:"timeout"`
}

// retentionRule has a pointer where nothing is not the same as zero.
type retentionRule struct {
	Match          stringList `yaml:"match"`
	Exclude        bool       `yaml:"exclude"`
	Mode           string     `yaml:"mode"`
	Data           string     `yaml:"data"`
	Log            string     `yaml:"log"`
	Vacuum         string     `yaml:"vacuum"`
	FullEvery      string     `yaml:"full_every"`
	LogCleanup     string     `yaml:"log_cleanup"`
	Properties     string     `yaml:"properties"`
	Orphans        string     `yaml:"orphans"`
	ForeignFiles   string     `yaml:"foreign_files"`
	ChangeData     *bool      `yaml:"change_data"`
	MinAge         string     `yaml:"min_age"`
	MaxDeleteRatio *float64   `yaml:"max_delete_ratio"`
	MaxDeleteFiles *int64     `yaml:"max_delete_files"`
	MaxDeleteBytes string     `yaml:"max_delete_bytes"`
	KeepVersions   []int64    `yaml:"keep_versions"`
	KeepTimestamps stringList `yaml:"keep_timestamps"`
	KeepStreams    stringList `yaml:"keep_streams"`
	Undo           string     `yaml:"undo"`
	UndoKeep       string     `yaml:"undo_keep"`
	Engine         string     `yaml:"engine"`
	DelegateAbove  *int64     `yaml:"delegate_above"`
}

type unsafe struct {
	AllowBelow7d bool   `yaml:"allow_below_7d"`
	Ack          string `yaml:"ack"`
}

type driftChecks struct {
	Schedule string        `yaml:"schedule"`
	Heal     *bool         `yaml:"heal"`
	Ignore   []driftIgnore `yaml:"ignore"`
	Reports  reports       `yaml:"reports"`
}

type driftIgnore struct {
	Ref    string     `yaml:"ref"`
	Fields stringList `yaml:"fields"`
}

type reports struct {
	Dir     string     `yaml:"dir"`
	Formats stringList `yaml:"formats"`
	Keep    string     `yaml:"keep"`
}

type consent struct {
	Remove       string `yaml:"remove"`
	Open         string `yaml:"open"`
	Until        string `yaml:"until"`
	WithContents bool   `yaml:"with_contents"`
}

// stringList is one text or a list of them.
type stringList []string

// UnmarshalYAML takes both forms.
func (l *stringList) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
		*l = stringList{n.Value}
		return nil
	}
	var items []string
	err := n.Decode(&items)
	*l = items
	return err
}

// rootShape is that of flumen.yaml: Compose's top level and our own keys. What a
// tier holds is checked as a Compose file of its own.
var rootShape = sync.OnceValue(func() *shape {
	compose, s := composeShape(), &shape{supported: true, keys: map[string]*shape{}}
	for name, one := range compose.keys {
		s.keys[name] = one
	}
	describe(s, reflect.TypeFor[root]())
	one := s.keys["tiers"].items
	one.keys["services"], one.keys["include"] = compose.keys["services"], compose.keys["include"]
	return s
})

// describe adds the keys of a struct to a shape.
func describe(s *shape, t reflect.Type) {
	s.supported = true
	switch {
	case t == reflect.TypeFor[yaml.Node](), t == reflect.TypeFor[stringList]():
	case t.Kind() == reflect.Pointer:
		describe(s, t.Elem())
	case t.Kind() == reflect.Slice:
		describe(s.child("[]"), t.Elem())
	case t.Kind() == reflect.Map:
		describe(s.child("*"), t.Elem())
	case t.Kind() == reflect.Struct:
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
			if name == "-" {
				continue
			}
			describe(s.child(name), t.Field(i).Type)
		}
	}
}
