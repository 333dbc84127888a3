package engine

import (
	"fmt"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"

	"waybill/internal/secret"
)

// How a sealed payload is marked: the names that Temporal's own samples use, so that tools know them.
const (
	SealedEncoding = "binary/encrypted" // the metadata "encoding"
	SealedKeyID    = "encryption-key-id"
)

// PayloadUse is what the boxes for payloads are made for (secret.Ring.Box).
const PayloadUse = "temporal-payloads"

// Codec seals payloads with AES-256-GCM under the newest key of a ring, and opens those of any. A payload is sealed whole, with its
// metadata; it tells the id of its key, which it is bound to. What is not sealed passes as it is, so that histories from
// before can be read.
type Codec struct {
	box  secret.Box
	seal bool
	wait bool // a key that is missing is no error but a panic, see Converters
}

var _ converter.PayloadCodec = (*Codec)(nil)

// NewCodec makes a codec on the keys of a ring. One that does not seal only opens.
func NewCodec(box secret.Box, seal bool) *Codec { return &Codec{box: box, seal: seal} }

// Seals tells whether Encode seals.
func (c *Codec) Seals() bool { return c.seal }

// bound is what a sealed payload can not be opened without: its format and the id of its key.
func bound(id string) []byte { return []byte("waybill payload 1\n" + id) }

// Encode is converter.PayloadCodec's.
func (c *Codec) Encode(plain []*commonpb.Payload) ([]*commonpb.Payload, error) {
	if !c.seal {
		return plain, nil
	}
	out := make([]*commonpb.Payload, len(plain))
	for i, p := range plain {
		if KeyOf(p) != "" { // it was taken from elsewhere as it is
			out[i] = p
			continue
		}
		data, err := proto.Marshal(p)
		if err != nil {
			return plain, err
		}
		id, sealed := c.box.SealBytes(data, bound)
		out[i] = &commonpb.Payload{Data: sealed, Metadata: map[string][]byte{
			converter.MetadataEncoding: []byte(SealedEncoding), SealedKeyID: []byte(id),
		}}
	}
	return out, nil
}

// Decode is converter.PayloadCodec's.
func (c *Codec) Decode(sealed []*commonpb.Payload) ([]*commonpb.Payload, error) {
	out := make([]*commonpb.Payload, len(sealed))
	for i, p := range sealed {
		id := KeyOf(p)
		if id == "" {
			out[i] = p
			continue
		}
		data, err := c.box.OpenBytes(id, p.GetData(), bound(id))
		if err != nil {
			err = fmt.Errorf("a sealed payload can not be opened: %w", err)
			if c.wait {
				panic(err)
			}
			return sealed, err
		}
		out[i] = &commonpb.Payload{}
		if err := proto.Unmarshal(data, out[i]); err != nil {
			return sealed, fmt.Errorf("a sealed payload holds no payload: %w", err)
		}
	}
	return out, nil
}

// KeyOf is the id of the key that a payload is sealed with, empty for one that is not.
func KeyOf(p *commonpb.Payload) string {
	if string(p.GetMetadata()[converter.MetadataEncoding]) != SealedEncoding {
		return ""
	}
	return string(p.GetMetadata()[SealedKeyID])
}
