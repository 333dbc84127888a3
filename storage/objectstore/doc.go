// Package objectstore keeps objects in any S3: the embedded gateway, MinIO, a cloud. It satisfies control.Objects and is
// the only package that knows minio-go.
//
// It may import internal/control (the shape of its answers) and internal/job (errors). storagetest.RunObjects is its
// conformance suite.
package objectstore
