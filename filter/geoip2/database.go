package geoip2

import (
	"errors"
	"fmt"
	"net/netip"

	maxminddb "github.com/oschwald/maxminddb-golang/v2"
	"github.com/oschwald/maxminddb-golang/v2/mmdbdata"

	"github.com/kagarilog/kagari/event"
)

// database is an open database (MaxMind DB File Format Specification). It is safe
// for concurrent use.
type database struct{ reader *maxminddb.Reader }

func openDatabase(file string) (*database, error) {
	reader, err := maxminddb.Open(file)
	if err != nil {
		return nil, fmt.Errorf("open database %q: %w", file, err)
	}
	return &database{reader}, nil
}

func (d *database) close() error { return d.reader.Close() }

// lookup returns the values at the paths for an address, null where there is
// none, or nil if the database does not know the address.
func (d *database) lookup(address []byte, paths []path) ([]event.Value, error) {
	if len(address) > maxAddress {
		return nil, errors.New("the text is too long for an address")
	}
	ip, err := netip.ParseAddr(string(address))
	if err != nil {
		return nil, err
	}
	result := d.reader.Lookup(ip.WithZone("").Unmap())
	if err := result.Err(); err != nil || !result.Found() {
		return nil, err
	}
	values := make([]event.Value, len(paths))
	var errs []error
	for i, p := range paths {
		var v value
		err := result.DecodePath(&v, p.parts...)
		if err != nil && p.names != nil {
			err = result.DecodePath(&v, p.names...)
		}
		if err != nil {
			errs = append(errs, err)
		}
		if values[i] = v.encoded; v.encoded == nil {
			values[i] = null
		}
	}
	return values, errors.Join(errs...)
}

// value is a value of the database as Fluent Bit adds it: maps, arrays and
// integers of 128 bits are null, bytes are text.
type value struct{ encoded event.Value }

var _ mmdbdata.CursorUnmarshaler = (*value)(nil)

// UnmarshalMaxMindDBCursor reads the value at the cursor.
func (v *value) UnmarshalMaxMindDBCursor(c mmdbdata.Cursor) (mmdbdata.Cursor, error) {
	kind, err := c.Kind()
	if err != nil {
		return c, err
	}
	var next mmdbdata.Cursor
	switch kind {
	case mmdbdata.KindString:
		var s string
		if s, next, err = c.ReadString(); err == nil {
			v.encoded = event.AppendString(nil, s)
		}
	case mmdbdata.KindBytes:
		var s []byte
		if s, next, err = c.ReadBytes(); err == nil {
			v.encoded = event.AppendString(nil, s)
		}
	case mmdbdata.KindFloat64, mmdbdata.KindFloat32:
		var f float64
		if f, next, err = c.ReadFloat(); err == nil {
			v.encoded = event.AppendFloat(nil, f)
		}
	case mmdbdata.KindInt32:
		var n int32
		if n, next, err = c.ReadInt32(); err == nil {
			v.encoded = event.AppendInt(nil, int64(n))
		}
	case mmdbdata.KindUint16, mmdbdata.KindUint32, mmdbdata.KindUint64:
		var n uint64
		if n, next, err = c.ReadUint(); err == nil {
			v.encoded = event.AppendUint(nil, n)
		}
	case mmdbdata.KindBool:
		var b bool
		if b, next, err = c.ReadBool(); err == nil {
			v.encoded = event.AppendBool(nil, b)
		}
	default:
		next, err = c.Skip()
	}
	return next, err
}
