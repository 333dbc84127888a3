// Package modules holds the small modules that programs may use to talk to Waybill (native.md, 5): waybill.py, waybill.js and
// waybill.sh. They write the same lines a program can write itself, and need nothing to be installed. A Folder is where a
// worker lays them for its programs to read; an environment leads Python and Node to it.
//
// It imports the standard library.
package modules
