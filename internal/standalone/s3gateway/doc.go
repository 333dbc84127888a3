// Package s3gateway runs versitygw, an S3 gateway on a local folder, inside this process: the object store of a Waybill
// that runs alone. Objects are plain files below the folder, so they can be looked at and backed up with ordinary tools.
//
// It imports versitygw and nothing of Waybill, so that tests of storage/objectstore can use it without linking the
// Temporal server. Only internal/standalone and tests import it.
package s3gateway
