// Package s3 is the target for buckets and for users of stores: it reads them from S3 stores
// and makes and changes them there.
//
//	spec.Bucket ──▶ store (endpoint, or a service of the project) ──▶ bucket
//	                                                                    │
//	drift.Found ◀──────────────── tags, versioning ◀────────────────────┘
//
// A bucket that the agent made carries a tag with the name of the project, which is never
// compared. One that was there before is adopted as it is, unless the tag of another project
// is on it. What nobody declares of a bucket is neither read nor changed.
//
// Users are MinIO's own; what marks them is the name of a policy (see mark). One that was
// there before is the spec's only if its secret opens the store.
//
// The package decides nothing. A bucket is removed only when it is asked to remove just that
// one, and never one that holds a Delta table or what may be locked; and never a user that it
// did not make.
package s3
