// Package examples carries the sample package in the program, so that quickstart needs no other file. It imports the
// standard library only.
package examples

import (
	"archive/zip"
	"embed"
	"io"
	"io/fs"
)

//go:embed all:sample
var files embed.FS

// SampleName is the file key and SampleEntryPoint the entry point of the vendor tutorial that the sample is run by.
const (
	SampleName       = "samplePackage.djar"
	SampleEntryPoint = "integrateXYZ.process"
)

// WriteSample packs the sample as a .djar. The same program always writes the same bytes.
func WriteSample(w io.Writer) error {
	root, err := fs.Sub(files, "sample")
	if err != nil {
		return err
	}
	z := zip.NewWriter(w)
	err = fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(root, path)
		if err != nil {
			return err
		}
		member, err := z.CreateHeader(&zip.FileHeader{Name: path, Method: zip.Deflate})
		if err != nil {
			return err
		}
		_, err = member.Write(text)
		return err
	})
	if err != nil {
		return err
	}
	return z.Close()
}
