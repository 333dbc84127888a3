package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/smtp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"

	"waybill/internal/app/datafolder"
	"waybill/internal/app/settings"
	"waybill/internal/control"
	"waybill/internal/engine"
	"waybill/internal/secret"
	"waybill/internal/standalone"
	"waybill/storage/objectstore"
	"waybill/storage/sqlstore"
	"waybill/workflows/contract"
)

// database checks the tables' home, and the keys in it.
func (d *doctor) database(ctx context.Context) []Finding {
	c, _ := databaseConfig(d.settings, filepath.Join(d.settings.Data, "waybill.db"))
	if c.Driver == sqlstore.SQLite {
		if _, err := os.Stat(c.Path); err != nil {
			return []Finding{bad("database.reach", "the data folder has no database", "Name the data folder in --data, or a PostgreSQL in "+settings.Name("database")+"; waybill up makes a new installation.")}
		}
	}
	store, err := sqlstore.Open(ctx, c)
	if err != nil {
		return []Finding{bad("database.reach", said(err), "See that the server runs, and that address, user, password and TLS of "+settings.Name("database")+" are right.")}
	}
	defer store.Close()
	list := []Finding{fine("database.reach", string(c.Driver)+" answers")}
	if i, err := store.Inspect(ctx); err != nil {
		list = append(list, bad("database.inspect", said(err), "See the server's log."))
	} else {
		d.read("database", i.Clock)
		list = append(list, d.inspected(i, c)...)
	}
	list = append(list, schemaFinding(ctx, store))
	return append(list, d.sealing(ctx, store)...)
}

func (d *doctor) inspected(i sqlstore.Inspection, c sqlstore.Config) (list []Finding) {
	if c.Driver == sqlstore.SQLite {
		return append(list, fine("database.version", string(c.Driver)+" "+i.Version))
	}
	list = append(list, postgresVersion(i.Version))
	add := func(good bool, worse func(id, finding, advice string) Finding, id, yes, no, advice string) {
		if good {
			list = append(list, fine(id, yes))
			return
		}
		list = append(list, worse(id, no, advice))
	}
	add(i.TLS, odd, "database.tls", "the connection is encrypted", "the connection is not encrypted", "Add sslmode=verify-full to the URL, unless the network is private.")
	add(i.Encoding == "UTF8", bad, "database.encoding", "encoding UTF8", "encoding "+i.Encoding, "Make the database anew with ENCODING 'UTF8'.")
	list = append(list, fine("database.zone", "time zone "+i.Zone+"; Waybill stores moments, so any will do"))
	add(!i.ReadOnly, bad, "database.writable", "takes writes", "takes no writes: a standby, or read-only", "Name the primary in the URL, or add target_session_attrs=read-write.")
	add(i.MayCreate, odd, "database.create", "tables may be made", "tables may not be made by this user", "GRANT CREATE ON SCHEMA to the user that runs waybill migrate.")
	add(i.MayTemp, odd, "database.temporary", "temporary tables may be made", "temporary tables may not be made", "GRANT TEMPORARY ON DATABASE to the user.")
	pool := c.MaxConns + c.Postgres.BackgroundConns
	if pool == 0 {
		pool = 20
	}
	add(i.MaxConns >= pool+10, odd, "database.connections", fmt.Sprintf("%d of %d connections in use, %d for each process", i.Conns, i.MaxConns, pool),
		fmt.Sprintf("%d connections at most, %d in use, and each process may take %d", i.MaxConns, i.Conns, pool), "Raise max_connections, or lower the size of the pool.")
	return list
}

func schemaFinding(ctx context.Context, store *sqlstore.Store) Finding {
	steps, err := store.Schema(ctx)
	if err != nil {
		return bad("database.schema", said(err), "See that the user may read the tables.")
	}
	var pending, newer []string
	for _, m := range steps {
		switch {
		case m.Applied.IsZero():
			pending = append(pending, fmt.Sprint(m.Version))
		case m.Name == "":
			newer = append(newer, fmt.Sprint(m.Version))
		}
	}
	switch {
	case len(pending) > 0:
		return bad("database.schema", "steps pending: "+strings.Join(pending, ", "), "Run waybill migrate up (or waybill admin setup).")
	case len(newer) > 0:
		return odd("database.schema", "steps of a newer program: "+strings.Join(newer, ", "), "Bring this program up to the version of the others.")
	}
	return fine("database.schema", fmt.Sprintf("version %d, this program's", steps[len(steps)-1].Version))
}

// sealing checks that the master key opens the sealing keys. It makes none.
func (d *doctor) sealing(ctx context.Context, store *sqlstore.Store) []Finding {
	err := d.loadKeys(filepath.Join(d.settings.Data, "master.key"), secret.Load)
	if errors.Is(err, fs.ErrNotExist) {
		return []Finding{odd("keys.master", "there is no master key here", "Give "+settings.Name("master-key")+" where processes run; without it no secret can be opened.")}
	}
	if err != nil {
		return []Finding{bad("keys.master", "the master key can not be read", "It is 64 hex digits, in "+settings.Name("master-key")+" or master.key of the data folder.")}
	}
	stored, err := store.SealingKeys(ctx)
	if err != nil {
		return []Finding{bad("keys.sealing", "the sealing keys can not be read", "See database.schema.")}
	}
	if len(stored) == 0 {
		return []Finding{odd("keys.sealing", "there are no sealing keys yet", "The first process, or waybill admin setup, makes them.")}
	}
	masters, err := d.masters()
	if err != nil {
		return []Finding{bad("keys.master", "the master key can not be read", "It is 64 hex digits.")}
	}
	newest := stored[len(stored)-1]
	box := masters.Ring().Box("sealing-key")
	for _, s := range stored {
		if s.Number == newest.Number {
			if _, err := box.Open(s.Wrapped); err == nil {
				d.noteInstallation(ctx, store)
				return []Finding{fine("keys.sealing", "the master key opens sealing key "+newest.ID)}
			}
		}
	}
	return []Finding{bad("keys.sealing", "the master key does not open sealing key "+newest.ID, "Give the installation's master key: "+newest.Master+".")}
}

// noteInstallation finds out which installation the keys are of.
func (d *doctor) noteInstallation(ctx context.Context, store *sqlstore.Store) {
	ring := &control.Keyring{Store: store, Marks: store, Masters: d.masters, Ring: secret.NewRing(), Now: time.Now}
	root, err := ring.Look(ctx)
	if err != nil {
		return // the claim is told without it
	}
	d.keep.Lock()
	defer d.keep.Unlock()
	d.mine = installationOf(root)
}

// objectStore checks the bucket.
func (d *doctor) objectStore(ctx context.Context) []Finding {
	c := externalObjects(d.settings)
	if c.Endpoint == "" {
		if _, err := datafolder.ReadRun(d.settings.Data); err != nil {
			return []Finding{fine("objects.reach", "that of waybill up, which does not run now")}
		}
		s3, err := standalone.ReadEndpoints(d.settings.Data)
		if err != nil {
			return []Finding{bad("objects.reach", "endpoints.json can not be read", "Start waybill up again.")}
		}
		c = gatewayObjects(s3.S3)
	}
	create := c.CreateBucket
	c.CreateBucket = false
	store, err := objectstore.Open(ctx, c)
	if err != nil {
		if create && strings.Contains(said(err), "no bucket") {
			return []Finding{odd("objects.bucket", said(err), "It is made at the first start, or by waybill admin setup.")}
		}
		return []Finding{bad("objects.reach", said(err), "See that the store runs, and that endpoint, keys, region, bucket and TLS of "+settings.Name("s3-endpoint")+" are right.")}
	}
	defer store.Close()
	list := []Finding{fine("objects.reach", "the bucket "+c.Bucket+" answers")}
	if err := store.Probe(ctx); err != nil {
		list = append(list, bad("objects.probe", said(err), "The keys need GetObject, PutObject, DeleteObject and ListBucket on the bucket."))
	} else {
		list = append(list, fine("objects.probe", "an object was written, read, read in part and deleted"))
	}
	if !c.Secure && d.settings.S3.Endpoint != "" {
		list = append(list, odd("objects.tls", "the connection is not encrypted", "Set "+settings.Name("s3-tls")+", unless the network is private."))
	}
	i, err := store.Inspect(ctx)
	if err != nil {
		list = append(list, odd("objects.clock", said(err), "The store's clock was not checked."))
	} else {
		d.read("object store", i.Clock)
	}
	if i.Public {
		list = append(list, bad("objects.policy", "the bucket's policy lets everybody in", "Delete the policy: logs, packages and results are in the bucket."))
	} else if slices.Contains(i.Unasked, "policy") {
		list = append(list, odd("objects.policy", "the keys may not read the bucket's policy", "See to it by other means that the bucket is not public."))
	} else {
		list = append(list, fine("objects.policy", "the bucket is not public"))
	}
	list = append(list, lifecycleFinding(i, d.settings))
	if i.Versioned {
		list = append(list, odd("objects.versioning", "the bucket keeps old versions", "What the retention deletes stays and costs: add a lifecycle rule that ends old versions."))
	}
	return list
}

// lifecycleFinding tells who ends broken uploads, and warns of rules that are not ours: one that deletes objects deletes results.
func lifecycleFinding(i objectstore.Inspection, s settings.Settings) Finding {
	const id = "objects.lifecycle"
	switch {
	case slices.Contains(i.Unasked, "lifecycle"):
		return fine(id, "the bucket's rules can not be read or are not known; broken uploads are ended by the retention")
	case i.Lifecycle == 0:
		return fine(id, "the bucket has no rules; broken uploads are ended by the retention")
	case i.Lifecycle == 1 && s.S3.Lifecycle == "manage":
		return fine(id, "the bucket has one rule")
	}
	return odd(id, fmt.Sprintf("the bucket has %d rules", i.Lifecycle), "See that none of them deletes objects that jobs or packages still need; Waybill's own is waybill-uploads.")
}

// engine checks Temporal.
func (d *doctor) engine(ctx context.Context) []Finding {
	o := d.externalEngine()
	if o.Address == "" {
		run, err := datafolder.ReadRun(d.settings.Data)
		if err != nil {
			return []Finding{fine("temporal.reach", "that of waybill up, which does not run now")}
		}
		token := ""
		if run.TemporalUI != "" && !run.TemporalOpen {
			if token, err = standalone.ReadToken(d.settings.Data); err != nil {
				return []Finding{bad("temporal.reach", "the token of the embedded Temporal can not be read", "Run the doctor as the user that runs waybill up.")}
			}
		}
		o = d.embeddedEngine(run.TemporalAddress, run.TemporalNamespace, token)
	}
	c, err := engine.Dial(ctx, o)
	if err != nil {
		return []Finding{bad("temporal.reach", said(err), "See that the server runs, and that "+settings.Name("temporal")+" and its TLS and key are right.")}
	}
	defer c.Close()
	service := c.WorkflowService()
	list := []Finding{fine("temporal.reach", o.Address+" answers")}
	if i, err := service.GetSystemInfo(ctx, &workflowservice.GetSystemInfoRequest{}); err == nil {
		list = append(list, temporalVersion(i.GetServerVersion()))
	}
	if o.TLS == nil && d.settings.Temporal.Address != "" {
		list = append(list, odd("temporal.tls", "the connection is not encrypted", "Set --temporal-tls, unless the network is private."))
	}
	n, err := service.DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: o.Namespace})
	if noNamespace(err) {
		return append(list, bad("temporal.namespace", "there is no namespace "+o.Namespace, "Run waybill admin namespace create."))
	}
	if err != nil {
		return append(list, bad("temporal.namespace", "the namespace "+o.Namespace+" can not be read: "+said(err), "See that the key may use it."))
	}
	kept := n.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration()
	list = append(list, fine("temporal.namespace", "namespace "+o.Namespace+" keeps closed workflows for "+kept.String()))
	d.keep.Lock()
	d.claimed, d.claimRead = n.GetNamespaceInfo().GetData()[claimKey], true
	d.keep.Unlock()
	list = append(list, d.sealedFinding())
	list = append(list, attributes(ctx, c.OperatorService(), o.Namespace))
	for _, q := range []struct {
		name string
		kind enumspb.TaskQueueType
	}{{contract.SystemQueue, enumspb.TASK_QUEUE_TYPE_WORKFLOW}, {contract.StatusQueue(contract.SystemQueue), enumspb.TASK_QUEUE_TYPE_ACTIVITY}} {
		r, err := service.DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{Namespace: o.Namespace, TaskQueue: &taskqueue.TaskQueue{Name: q.name}, TaskQueueType: q.kind})
		switch {
		case err != nil:
			list = append(list, odd("temporal.pollers", "queue "+q.name+": "+said(err), "The pollers could not be asked for."))
		case len(r.GetPollers()) == 0:
			list = append(list, odd("temporal.pollers", "nobody takes work from queue "+q.name, "Start waybill api or waybill worker; jobs wait until then."))
		default:
			list = append(list, fine("temporal.pollers", fmt.Sprintf("%d pollers on queue %s", len(r.GetPollers()), q.name)))
		}
	}
	return list
}

// sealedFinding tells whether histories are readable to whoever runs Temporal.
func (d *doctor) sealedFinding() Finding {
	const id = "temporal.sealing"
	t := d.settings.Temporal
	switch {
	case t.Seals():
		return fine(id, "what workflows hold is sealed")
	case t.Address == "":
		return fine(id, "what workflows hold is not sealed: it lies beside the master key")
	}
	return odd(id, "what workflows hold is not sealed", "Whoever runs Temporal can read inputs and macros: set "+settings.Name("temporal-encryption")+" to on.")
}

// claim tells whose the namespace is: it needs the database, the master key and Temporal.
func (d *doctor) claim() []Finding {
	const id = "temporal.claim"
	switch {
	case !d.claimRead:
		return nil
	case d.claimed == "":
		return []Finding{odd(id, "the namespace is nobody's yet", "The first process takes it; see that no other Waybill uses it.")}
	case d.mine == "":
		return []Finding{odd(id, "the namespace is of installation "+d.claimed, "Give the master key to learn whether that is this one.")}
	case d.claimed != d.mine:
		return []Finding{bad(id, "the namespace is of another installation, "+d.claimed+"; this one is "+d.mine, "Name a namespace of its own in "+settings.Name("temporal-namespace")+": each would end the other's jobs.")}
	}
	return []Finding{fine(id, "the namespace is this installation's")}
}

func attributes(ctx context.Context, operator operatorservice.OperatorServiceClient, namespace string) Finding {
	const id = "temporal.attributes"
	r, err := operator.ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return odd(id, "the search attributes can not be read: "+said(err), "On Temporal Cloud see the namespace's page.")
	}
	want := contract.SearchAttributeTypes()
	var faults []string
	for _, name := range slices.Sorted(maps.Keys(want)) {
		kind, err := enumspb.IndexedValueTypeFromString(want[name])
		if have, there := r.GetCustomAttributes()[name]; err != nil || !there {
			faults = append(faults, name+" is missing")
		} else if have != kind {
			faults = append(faults, fmt.Sprintf("%s is %s, not %s", name, have, want[name]))
		}
	}
	if len(faults) > 0 {
		return bad(id, strings.Join(faults, "; "), "Run waybill admin namespace create; one of a wrong type must be removed first.")
	}
	return fine(id, fmt.Sprintf("all %d search attributes are registered", len(want)))
}

// mail checks the mail server, if there is one.
func (d *doctor) mail(ctx context.Context) []Finding {
	s := d.settings.SMTP
	if s.Host == "" {
		return nil
	}
	address := net.JoinHostPort(s.Host, fmt.Sprint(s.Port))
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return []Finding{bad("smtp.reach", address+" can not be reached", "See "+settings.Name("smtp-host")+" and "+settings.Name("smtp-port")+".")}
	}
	defer conn.Close()
	if until, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(until) // one that can not be set leaves the doctor's own
	}
	protect := &tls.Config{ServerName: s.Host, MinVersion: tls.VersionTLS12}
	if s.TLS == "tls" {
		conn = tls.Client(conn, protect)
	}
	c, err := smtp.NewClient(conn, s.Host)
	if err != nil {
		return []Finding{bad("smtp.greeting", address+" does not greet as a mail server: "+err.Error(), "See "+settings.Name("smtp-port")+" and "+settings.Name("smtp-tls")+".")}
	}
	if s.TLS == "starttls" {
		if err := c.StartTLS(protect); err != nil {
			return []Finding{bad("smtp.tls", address+" does not protect mail by STARTTLS: "+err.Error(), "See "+settings.Name("smtp-tls")+", and that its certificate is of that name.")}
		}
	}
	_ = c.Quit() // it has said what was asked for
	return []Finding{fine("smtp.greeting", address+" greets, with "+s.TLS+" protection")}
}

// ports checks that the REST address is free, or a Waybill's.
func (d *doctor) ports(ctx context.Context) []Finding {
	if run, err := datafolder.ReadRun(d.settings.Data); err == nil {
		return []Finding{fine("listen.port", "waybill up serves "+run.Listen)}
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", d.settings.Listen)
	if err != nil {
		return []Finding{odd("listen.port", d.settings.Listen+" is taken", "Nothing to do if Waybill listens there; else choose another "+settings.Name("listen")+".")}
	}
	_ = l.Close() // it was only to be seen that it can be had
	return []Finding{fine("listen.port", d.settings.Listen+" is free")}
}

// skew compares the clocks that were read with this machine's and with each other.
func (d *doctor) skew() (list []Finding) {
	for _, name := range slices.Sorted(maps.Keys(d.clocks)) {
		off := d.clocks[name].Round(time.Millisecond)
		if off.Abs() > maxSkew {
			list = append(list, bad("clock.skew", fmt.Sprintf("the clock of the %s is %s off this machine's", name, off), "Have all machines set their clocks by NTP."))
		} else {
			list = append(list, fine("clock.skew", fmt.Sprintf("the clock of the %s is this machine's within %s", name, maxSkew)))
		}
	}
	names := slices.Sorted(maps.Keys(d.clocks))
	for i, one := range names {
		for _, other := range names[i+1:] {
			if apart := (d.clocks[one] - d.clocks[other]).Abs(); apart > maxSkew {
				list = append(list, bad("clock.skew", fmt.Sprintf("the clocks of the %s and the %s are %s apart", one, other, apart.Round(time.Millisecond)), "Have all machines set their clocks by NTP."))
			}
		}
	}
	return list
}
