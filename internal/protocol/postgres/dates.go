package postgres

import (
	"encoding/binary"
	"math"
	"time"

	"gatehouse/internal/mask"
)

// epoch is day zero of the binary formats of dates and timestamps.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

const microsPerDay = 24 * 60 * 60 * 1_000_000

// truncate appends a date or timestamp cut to the start of its month or year; null for other types and for infinity.
func truncate(dst []byte, c *column, v []byte) (out []byte, null bool) {
	switch {
	case c.typ != oidDate && c.typ != oidTime && c.typ != oidTimeTZ:
		return dst, true
	case c.format == 0:
		out, ok := mask.TruncateText(dst, v, c.mask.Unit)
		return out, !ok
	case c.typ == oidDate && len(v) == 4:
		days := int32(binary.BigEndian.Uint32(v))
		if days == math.MaxInt32 || days == math.MinInt32 {
			return dst, true
		}
		t := mask.TruncateTime(epoch.AddDate(0, 0, int(days)), c.mask.Unit)
		return binary.BigEndian.AppendUint32(dst, uint32(int32(daysSince(t)))), false
	case len(v) == 8:
		micros := int64(binary.BigEndian.Uint64(v))
		if micros == math.MaxInt64 || micros == math.MinInt64 {
			return dst, true
		}
		day := int(micros / microsPerDay)
		if micros < 0 && micros%microsPerDay != 0 {
			day--
		}
		t := mask.TruncateTime(epoch.AddDate(0, 0, day), c.mask.Unit)
		return binary.BigEndian.AppendUint64(dst, uint64(daysSince(t)*microsPerDay)), false
	}
	return dst, true
}

// daysSince counts days by their number in the calendar: a Duration would overflow after 292 years.
func daysSince(t time.Time) int64 { return t.Unix()/86400 - epoch.Unix()/86400 }
