package runtimes

import (
	"archive/zip"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// jar runs a .jar that lies in the package; a package that is an executable .jar lies in its own tree. Java itself follows
// the Class-Path of the manifest, whose entries are relative to the .jar, so libraries that lie beside it are found.
func jar(p Program) (Command, error) {
	if !strings.EqualFold(filepath.Ext(p.Entry.Member), ".jar") {
		return Command{}, invalidEntry("Entry point '%s' is no .jar, so java can not run it", p.Entry.Member)
	}
	main, err := jarManifest(p.file())
	if err != nil {
		return Command{}, invalidEntry("Entry point '%s' is no .jar that can be read: %s", p.Entry.Member, err)
	}
	if main["main-class"] == "" {
		return Command{}, invalidEntry("Entry point '%s' can not be run: the manifest of the .jar names no Main-Class", p.Entry.Member)
	}
	return javaCommand(p, "-jar", p.file())
}

// heapShare is the part of a job's memory that is given to Java's heap; the rest is for threads, classes and buffers.
const heapShare = 0.75

// javaCommand puts the options together. Java learns of memory limits from cgroups only, so a job that has one gets its
// heap limited by an option, and at the front: one of the author's in JAVA_TOOL_OPTIONS comes before it, yet his
// JDK_JAVA_OPTIONS comes after it and wins.
func javaCommand(p Program, words ...string) (Command, error) {
	java, err := lookUp(interpreters[Java], p.shown())
	if err != nil {
		return Command{}, err
	}
	argv := []string{java}
	if p.MemoryMiB > 0 && !setsHeap(p.Macro) {
		argv = append(argv, fmt.Sprintf("-Xmx%dm", max(8, int(float64(p.MemoryMiB)*heapShare))))
	}
	c := Command{Runtime: Java, Interpreter: java, Path: java, Argv: append(append(argv, words...), p.Arguments...)}
	if p.TempDir != "" { // java takes it from the user database and a constant, not from the environment
		c.Argv = append([]string{java, "-Djava.io.tmpdir=" + p.TempDir, "-Duser.home=" + p.TempDir}, c.Argv[1:]...)
	}
	return c, nil
}

// setsHeap tells whether the author has chosen the size of the heap.
func setsHeap(macro func(string) (string, bool)) bool {
	for _, name := range []string{"JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"} {
		if macro == nil {
			return false
		}
		if v, ok := macro(name); ok && (strings.Contains(v, "-Xmx") || strings.Contains(v, "-XX:MaxHeapSize") || strings.Contains(v, "RAM")) {
			return true
		}
	}
	return false
}

const maxManifest = 1 << 20

// jarManifest reads the main section of a .jar's manifest.
func jarManifest(file string) (map[string]string, error) {
	z, err := zip.OpenReader(file)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	for _, f := range z.File {
		if !strings.EqualFold(f.Name, "META-INF/MANIFEST.MF") {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return nil, err
		}
		defer r.Close()
		text, err := io.ReadAll(io.LimitReader(r, maxManifest))
		return mainSection(text), err
	}
	return nil, nil
}

// mainSection reads the attributes of a manifest's main section, their names in small letters (JAR File Specification: a
// line that begins with a space continues the one before it; the first empty line ends the section).
func mainSection(manifest []byte) map[string]string {
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.TrimPrefix(string(manifest), "\ufeff"))
	section, _, _ := strings.Cut(text, "\n\n")
	section = strings.ReplaceAll(section, "\n ", "")
	attributes := map[string]string{}
	for line := range strings.SplitSeq(section, "\n") {
		if key, value, found := strings.Cut(line, ":"); found {
			attributes[strings.ToLower(strings.TrimSpace(key))] = strings.TrimSpace(value)
		}
	}
	return attributes
}
