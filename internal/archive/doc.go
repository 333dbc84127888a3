// Package archive reads packages: it validates them, finds their entry points, and unpacks them so that nothing is ever
// written outside the folder given. It knows zip (.djar .jar .zip) and gzipped tar (.tar.gz .tgz).
//
// The rules are native API specification, section 5. An archive is believed in nothing: names, sizes, counts and links
// are checked while the members are really decompressed, and Unpack makes all of the checks of Inspect again.
//
// It imports the standard library, internal/job, internal/manifest and klauspost/compress (gzip, flate).
package archive
