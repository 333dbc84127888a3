package bench

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"waybill/internal/app"
	"waybill/internal/client"
	"waybill/internal/password"
)

// PackageFigures is what one package cost.
type PackageFigures struct {
	Name   string
	Bytes  int64
	Upload time.Duration // REST call, begin to end
	First  time.Duration // a job that no worker has the package for
	Later  time.Duration // median of jobs after that
	Grown  int64         // bytes by which the resident set grew over what it was, at its largest
}

// PackageHeading names the columns of PackageFigures.String.
const PackageHeading = "package          size       upload        MB/s    first job    later jobs  memory grown"

func (f PackageFigures) String() string {
	return fmt.Sprintf("%-12s %5d MB %12s %11.0f %12s %13s %9d MiB", f.Name, f.Bytes/1e6, millis(f.Upload),
		float64(f.Bytes)/1e6/f.Upload.Seconds(), millis(f.First), millis(f.Later), f.Grown>>20)
}

// Packages measures the no-op programs of all runtimes beside their bare interpreters, and uploads and runs packages of
// several sizes through REST. Everything lives in a temporary folder that is removed at the end.
func Packages(ctx context.Context, o Options) (err error) {
	folder, err := os.MkdirTemp("", "waybill-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	if _, err := o.programs(ctx, folder); err != nil {
		return err
	}
	return o.sizes(ctx, filepath.Join(folder, "waybill"))
}

func (o Options) sizes(ctx context.Context, folder string) (err error) {
	s := o.Settings
	s.Data, s.AdminPassword = folder, password.Random()
	s.Listen, s.EngineListen, s.EngineUIListen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	s.BaseURL = ""
	a, err := app.Start(ctx, s, o.Log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Stop(context.WithoutCancel(ctx))) }()
	api := client.New(a.Info().URL, 1)
	if err := api.Login(ctx, a.Info().AdminUser, s.AdminPassword); err != nil {
		return err
	}
	fmt.Fprintf(o.Out, "\n%s\n", PackageHeading)
	for _, k := range []struct {
		name  string
		files int
		size  int64
	}{{"one file", 0, 0}, {"1 MB", 10, 100_000}, {"20,000 files", 20_000, 400}, {"1 GB", 100, 10_000_000}} {
		f, err := o.size(ctx, api, k.name, k.files, k.size)
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		fmt.Fprintln(o.Out, f)
	}
	return nil
}

func (o Options) size(ctx context.Context, api *client.Client, name string, files int, size int64) (f PackageFigures, err error) {
	f.Name = name
	config, err := api.CreateConfig(ctx, client.Config{Name: name, Active: true})
	if err != nil {
		return f, err
	}
	before, peak := residentSet(), watchRSS()
	body, send := io.Pipe()
	sent := &countedWriter{w: send}
	go func() { send.CloseWithError(writePackage(sent, files, size)) }()
	begin := time.Now()
	if _, err = api.Upload(ctx, config.ID, "p.zip", body); err != nil {
		peak()
		return f, err
	}
	f.Upload, f.Bytes = time.Since(begin), sent.n
	config.Runtime = &client.Runtime{PackageName: "p.zip", EntryPoint: "noop.sh"}
	config, err = api.ReplaceConfig(ctx, config.ID, config)
	var later []time.Duration
	for i := 0; i <= o.Serial && err == nil; i++ {
		begin := time.Now()
		if err = runJob(ctx, api, config.ID); i == 0 {
			f.First = time.Since(begin)
		} else {
			later = append(later, time.Since(begin))
		}
	}
	f.Grown = peak() - before
	if err == nil {
		f.Later = median(later)
	}
	return f, err
}

type countedWriter struct {
	w io.Writer
	n int64
}

func (c *countedWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// writePackage writes a no-op and files that can not be packed any smaller.
func writePackage(w io.Writer, files int, size int64) error {
	z := zip.NewWriter(w)
	add := func(name string, content io.Reader) error {
		member, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err == nil {
			_, err = io.Copy(member, content)
		}
		return err
	}
	err := add("noop.sh", strings.NewReader(noop))
	noise := rand.NewChaCha8([32]byte{byte(files)})
	for i := 0; i < files && err == nil; i++ {
		err = add(fmt.Sprintf("lib/d%d/f%d", i/100, i), io.LimitReader(noise, size))
	}
	return errors.Join(err, z.Close())
}
