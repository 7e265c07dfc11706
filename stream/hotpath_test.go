package stream

import (
	"fmt"
	"testing"
	"time"

	"github.com/kagarilog/kagari/event"
)

var hot = []string{
	"SELECT seq, log, container_name AS name FROM TAG:'t' WHERE source = 'stdout';",
	"SELECT * FROM TAG:'t' WHERE level > 3 AND NOT log LIKE '%debug%';",
	"SELECT k['a']['b'], level + 1 AS l, lower(source) AS s FROM TAG:'t' WHERE @record.contains(k) AND log =~ 'GET';",
	"SELECT source, level, COUNT(*), AVG(seq), MAX(k['a']['b']) FROM TAG:'t' WINDOW TUMBLING (5 SECOND) GROUP BY source, level;",
}

func hotBatch(t testing.TB) *event.Batch {
	records := make([]string, 100)
	for i := range records {
		records[i] = fmt.Sprintf(`{"seq":%d,"log":"GET /index.html?page=%d HTTP/1.1 200 some more text of a line","source":"stdout","container_name":"web","container_id":"0123456789abcdef","level":%d,"k":{"a":{"b":%d}}}`, i, i, i%7, i*3)
	}
	return batch(t, "t", records...)
}

func BenchmarkProcess(b *testing.B) {
	for i, sql := range hot {
		b.Run(fmt.Sprint(i), func(b *testing.B) {
			task, in, out := compile(b, sql, Options{}), hotBatch(b), event.NewBatch("")
			now := time.Unix(1, 0)
			b.ReportAllocs()
			for b.Loop() {
				task.Process(in, now, out)
				out.Free()
				out = event.NewBatch("")
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/record")
		})
	}
}
