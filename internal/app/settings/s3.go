package settings

// S3 is an external object store; with an empty Endpoint it is the embedded gateway.
type S3 struct {
	Endpoint, AccessKey, SecretKey, Region, Bucket string
	TLS                                            bool
}

var s3Settings = []setting{
	{name: "s3-endpoint", help: "host:port of an S3 object store (default: embedded, in the data folder)"},
	{name: "s3-access-key", help: "access key of the object store"},
	{name: "s3-secret-key", secret: true, help: "secret key of the object store"},
	{name: "s3-region", value: "us-east-1", help: "region of the object store"},
	{name: "s3-bucket", value: "waybill", help: "bucket of the object store; made where that is allowed"},
	{name: "s3-tls", value: "false", flag: true, help: "speak TLS to the object store"},
}

func (p *parser) s3() S3 {
	s := S3{
		Endpoint: p.optionalAddress("s3-endpoint"), AccessKey: p.k.String("s3-access-key"), SecretKey: p.k.String("s3-secret-key"),
		Region: p.text("s3-region"), Bucket: p.text("s3-bucket"), TLS: p.truth("s3-tls"),
	}
	if s.Endpoint != "" && s.AccessKey == "" {
		p.fault("s3-access-key", "must not be empty with --s3-endpoint")
	}
	if s.Endpoint != "" && s.SecretKey == "" {
		p.fault("s3-secret-key", "must not be empty with --s3-endpoint")
	}
	return s
}
