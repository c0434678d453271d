package main

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/delta/folder"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/reconciler/s3"
	"github.com/flumendata/flumen-agent/spec"
	"github.com/flumendata/flumen-agent/spec/compose"
)

// audit is what a look at tables without a spec goes by.
type audit struct {
	endpoint, region, ca string
	timeout              time.Duration
	data, log, minAge    string
	keepOrphans, foreign bool
	ratio                float64
	keepVersions         []int64
	keepTimes            []string
}

const (
	// auditEndpoint is where buckets are when nobody says otherwise.
	auditEndpoint = "https://s3.amazonaws.com"
	// auditTimeout and auditRetries are those of a store in a spec.
	auditTimeout = 10 * time.Second
	auditRetries = 3
)

func (a *app) retentionAuditCommand() *cobra.Command {
	standard := spec.DefaultRetention()
	o := &audit{}
	cmd := &cobra.Command{
		Use:   "audit PREFIX",
		Short: "Say what could go of the Delta tables below any prefix, without a spec",
		Long: `Finds the Delta tables below PREFIX, or the one that it is, and says of each what "retention
plan" would say. PREFIX is a bucket with a folder of it, as in s3://lake/warehouse, or a
folder of this machine. It needs no flumen.yaml, and of S3 the rights to list and to read.
The keys are the AWS credentials of this machine (AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY, ~/.aws/credentials, or its role).

Exit codes: as "retention plan".`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			report, err := a.audit(cmd.Context(), *o, args[0])
			if err != nil {
				return err
			}
			if err := a.show(report); err != nil {
				return err
			}
			return retentionExit(report)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.endpoint, "endpoint", auditEndpoint, "URL of the S3 store")
	f.StringVar(&o.region, "region", "", "its region (default us-east-1)")
	f.StringVar(&o.ca, "ca-file", "", "file with the certificates that it is known by, beside those of the machine")
	f.DurationVar(&o.timeout, "timeout", auditTimeout, "how long it may take to answer one request")
	f.StringVar(&o.data, "data", spec.Span(standard.Data), "how long a file is kept after it left its table; at least 7d")
	f.StringVar(&o.log, "log", spec.Span(standard.Log), "how long versions can be read")
	f.StringVar(&o.minAge, "min-age", spec.Span(standard.MinAge), "a file that was written later stays")
	f.BoolVar(&o.keepOrphans, "keep-orphans", false, "files that no version names stay, even proven ones")
	f.BoolVar(&o.foreign, "foreign-files", false, "files that no writer of Delta makes could go too")
	f.Float64Var(&o.ratio, "max-delete-ratio", standard.MaxRatio, "a plan for a table that wants more of it is marked as held")
	f.Int64SliceVar(&o.keepVersions, "keep-version", nil, "a version that stays readable (may be repeated)")
	f.StringSliceVar(&o.keepTimes, "keep-timestamp", nil, "a time whose version stays readable, as in 2026-10-23 (may be repeated)")
	a.outputFlag(f)
	return cmd
}

func (a *app) audit(ctx context.Context, o audit, prefix string) (proof.Report, error) {
	rule, err := o.rule()
	if err != nil {
		return proof.Report{}, err
	}
	place, done, err := o.place(ctx, prefix)
	if err != nil {
		return proof.Report{}, err
	}
	defer done()
	progress := a.retentionProgress()
	defer progress.end()
	return delta.Plan(ctx, delta.Options{
		Places: []delta.Place{place}, Retention: spec.Retention{Defaults: rule}, Now: time.Now, Progress: progress.tell,
	})
}

// rule is the policy that the flags say.
func (o audit) rule() (spec.RetentionRule, error) {
	rule := spec.DefaultRetention()
	for _, one := range []struct {
		flag, text string
		to         *time.Duration
	}{{"data", o.data, &rule.Data}, {"log", o.log, &rule.Log}, {"min-age", o.minAge, &rule.MinAge}} {
		d, err := compose.ParseSpan(one.text)
		if err != nil {
			return rule, fmt.Errorf("--%s: %w", one.flag, err)
		}
		*one.to = d
	}
	rule.Log = max(rule.Log, rule.Data)
	if o.ratio <= 0 || o.ratio > 1 {
		return rule, fmt.Errorf("--max-delete-ratio: %g is not above 0 and at most 1", o.ratio)
	}
	for _, text := range o.keepTimes {
		t, err := compose.ParseTime(text)
		if err != nil {
			return rule, fmt.Errorf("--keep-timestamp: %w; write it as in 2026-10-23 or 2026-10-23T12:00:00+02:00", err)
		}
		rule.KeepTimes = append(rule.KeepTimes, t)
	}
	slices.SortFunc(rule.KeepTimes, time.Time.Compare)
	rule.KeepOrphans, rule.ForeignFiles, rule.MaxRatio, rule.KeepVersions = o.keepOrphans, o.foreign, o.ratio, slices.Sorted(slices.Values(o.keepVersions))
	return rule, nil
}

// place opens the store that a prefix is in.
func (o audit) place(ctx context.Context, prefix string) (place delta.Place, done func(), err error) {
	where, err := placeOf(strings.TrimRight(prefix, "/"))
	if err != nil {
		return place, nil, err
	}
	key, inBucket := strings.CutPrefix(where, "s3://")
	switch {
	case !inBucket && strings.Contains(where, "://"):
		return place, nil, fmt.Errorf("%s is neither s3://BUCKET/FOLDER nor a folder of this machine", prefix)
	case !inBucket:
		if info, err := os.Stat(where); err != nil || !info.IsDir() {
			return place, nil, fmt.Errorf("%s is no folder of this machine", where)
		}
		return delta.Place{Store: folder.New("/"), Folder: strings.Trim(where, "/"), URL: where, Table: true}, func() {}, nil
	case strings.Trim(key, "/") == "":
		return place, nil, fmt.Errorf("%s names no bucket", prefix)
	}
	store, err := o.store()
	if err != nil {
		return place, nil, err
	}
	files, err := s3.New(nil).Files(ctx, "audit", store)
	if err != nil {
		return place, nil, err
	}
	return delta.Place{Store: files, Folder: key, URL: where, Table: true}, files.Close, nil
}

// store is the one at the endpoint.
func (o audit) store() (*spec.Store, error) {
	u, err := url.Parse(o.endpoint)
	if err != nil || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("--endpoint: %q is not the URL of a store, as in https://s3.example.com", o.endpoint)
	}
	one := &spec.Store{Name: u.Host, Endpoint: u.Host, Secure: u.Scheme == "https", Region: o.region, Timeout: cmp.Or(o.timeout, auditTimeout), Retries: auditRetries}
	if o.ca != "" {
		pem, err := os.ReadFile(o.ca)
		if err != nil {
			return nil, fmt.Errorf("--ca-file: %w", err)
		}
		one.CA = string(pem)
	}
	return one, nil
}
