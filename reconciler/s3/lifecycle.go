package s3

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/minio/minio-go/v7/pkg/lifecycle"

	"github.com/flumendata/flumen-agent/spec"
)

// expiry are the rules by which a store removes objects by itself. They are one document, so
// where rules are declared, all others are drift.
type expiry struct{}

func (expiry) declared(b *spec.Bucket) bool { return b.Lifecycle != nil }

func (expiry) keep(from, to *spec.Bucket) { to.Lifecycle = from.Lifecycle }

func (expiry) read(ctx context.Context, c *connection, b, have *spec.Bucket) error {
	rules, err := c.rules(ctx, b.Name)
	have.Lifecycle = rules
	return err
}

// rules are those that a bucket has; none where it has no lifecycle.
func (c *connection) rules(ctx context.Context, bucket string) ([]spec.LifecycleRule, error) {
	config, err := c.GetBucketLifecycle(ctx, bucket)
	switch {
	case codeOf(err) == "NoSuchLifecycleConfiguration":
		return []spec.LifecycleRule{}, nil
	case err != nil:
		return nil, c.explain("read the lifecycle of bucket "+bucket, err)
	}
	rules := make([]spec.LifecycleRule, len(config.Rules))
	for i, r := range config.Rules {
		rules[i] = ruleOf(r)
		rules[i].ID = cmp.Or(r.ID, fmt.Sprint(i+1)) // only old servers have rules without one
	}
	return rules, nil
}

func (expiry) write(ctx context.Context, c *connection, b *spec.Bucket) error {
	config := lifecycle.NewConfiguration()
	for _, r := range b.Lifecycle {
		config.Rules = append(config.Rules, ruleFor(r))
	}
	return c.explain("set the lifecycle of bucket "+b.Name, c.SetBucketLifecycle(ctx, b.Name, config))
}

// ruleOf reads a rule of a store. A filter stands in it in one of several places.
func ruleOf(r lifecycle.Rule) spec.LifecycleRule {
	f := r.RuleFilter
	one := spec.LifecycleRule{
		ID: r.ID, Disabled: r.Status != "Enabled",
		Prefix:  cmp.Or(r.Prefix, f.Prefix, f.And.Prefix),
		Larger:  cmp.Or(f.ObjectSizeGreaterThan, f.And.ObjectSizeGreaterThan),
		Smaller: cmp.Or(f.ObjectSizeLessThan, f.And.ObjectSizeLessThan),
		Days:    int(r.Expiration.Days), Date: r.Expiration.Date.Time,
		NoncurrentDays:  int(r.NoncurrentVersionExpiration.NoncurrentDays),
		NewerNoncurrent: r.NoncurrentVersionExpiration.NewerNoncurrentVersions,
		DeleteMarkers:   r.Expiration.DeleteMarker.IsEnabled(),
		AbortDays:       int(r.AbortIncompleteMultipartUpload.DaysAfterInitiation),
	}
	for _, tag := range append(slices.Clone(f.And.Tags), f.Tag) {
		if !tag.IsEmpty() {
			one.Tags = with(one.Tags, tag.Key, tag.Value)
		}
	}
	one.Other, one.OtherExpires = othersOf(r)
	return one
}

func with(m map[string]string, key, value string) map[string]string {
	if m == nil {
		m = map[string]string{}
	}
	m[key] = value
	return m
}

// othersOf says what a rule does that no spec can ask for, and whether that removes current
// versions.
func othersOf(r lifecycle.Rule) (says string, expires bool) {
	var all []string
	if r.Expiration.DeleteAll.IsEnabled() {
		all = append(all, "all versions expire with the current one")
	}
	if !r.AllVersionsExpiration.IsNull() {
		all, expires = append(all, fmt.Sprintf("all versions expire after %d days", r.AllVersionsExpiration.Days)), true
	}
	if !r.DelMarkerExpiration.IsNull() {
		all = append(all, fmt.Sprintf("all versions expire %d days after their removal", r.DelMarkerExpiration.Days))
	}
	if !r.Transition.IsNull() {
		all = append(all, "moves to the storage class "+r.Transition.StorageClass)
	}
	if !r.NoncurrentVersionTransition.IsStorageClassEmpty() {
		all = append(all, "noncurrent versions move to the storage class "+r.NoncurrentVersionTransition.StorageClass)
	}
	if !r.Compression.IsNull() || !r.NoncurrentVersionCompression.IsNull() {
		all = append(all, "compresses")
	}
	return strings.Join(all, ", "), expires
}

// ruleFor writes a rule as stores take it: a filter of more than one condition is an And.
func ruleFor(r spec.LifecycleRule) lifecycle.Rule {
	status := "Enabled"
	if r.Disabled {
		status = "Disabled"
	}
	return lifecycle.Rule{
		ID: r.ID, Status: status, RuleFilter: filterFor(r),
		Expiration: lifecycle.Expiration{
			Days: lifecycle.ExpirationDays(r.Days), Date: lifecycle.ExpirationDate{Time: r.Date},
			DeleteMarker: lifecycle.ExpireDeleteMarker(r.DeleteMarkers),
		},
		NoncurrentVersionExpiration: lifecycle.NoncurrentVersionExpiration{
			NoncurrentDays: lifecycle.ExpirationDays(r.NoncurrentDays), NewerNoncurrentVersions: r.NewerNoncurrent,
		},
		AbortIncompleteMultipartUpload: lifecycle.AbortIncompleteMultipartUpload{DaysAfterInitiation: lifecycle.ExpirationDays(r.AbortDays)},
	}
}

func filterFor(r spec.LifecycleRule) lifecycle.Filter {
	all := lifecycle.And{Prefix: r.Prefix, ObjectSizeGreaterThan: r.Larger, ObjectSizeLessThan: r.Smaller}
	for _, key := range slices.Sorted(maps.Keys(r.Tags)) {
		all.Tags = append(all.Tags, lifecycle.Tag{Key: key, Value: r.Tags[key]})
	}
	conditions := len(all.Tags)
	for _, one := range []bool{r.Prefix != "", r.Larger > 0, r.Smaller > 0} {
		if one {
			conditions++
		}
	}
	switch {
	case conditions > 1:
		return lifecycle.Filter{And: all}
	case len(all.Tags) == 1:
		return lifecycle.Filter{Tag: all.Tags[0]}
	}
	return lifecycle.Filter{Prefix: r.Prefix, ObjectSizeGreaterThan: r.Larger, ObjectSizeLessThan: r.Smaller}
}
