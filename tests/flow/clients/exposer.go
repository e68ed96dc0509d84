// Prometheus' client of Go: observes, answers two scrapes in between, and says what it observed.
// Prints JSON: the bodies in the protobuf format and one as text, and the values by name.
package main

import (
	"encoding/json"
	"log"
	"net/http/httptest"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"

type timed struct{ description *prometheus.Desc }

func (t timed) Describe(to chan<- *prometheus.Desc) { to <- t.description }

func (t timed) Collect(to chan<- prometheus.Metric) {
	metric := prometheus.MustNewConstMetric(t.description, prometheus.GaugeValue, 4.5)
	to <- prometheus.NewMetricWithTimestamp(time.UnixMilli(1700000000123), metric)
}

func scrape(from prometheus.Gatherer, accept string) ([]byte, string) {
	request := httptest.NewRequest("GET", "/metrics", nil)
	request.Header.Set("Accept", accept)
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(from, promhttp.HandlerOpts{DisableCompression: true}).ServeHTTP(answer, request)
	if answer.Code != 200 {
		log.Fatal(answer.Code, answer.Body.String())
	}
	return answer.Body.Bytes(), answer.Header().Get("Content-Type")
}

func main() {
	orders := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "orders_total", Help: "Orders taken,\nin \\ all."}, []string{"shop"})
	room := prometheus.NewGauge(prometheus.GaugeOpts{Name: "room_bytes"})
	odd := prometheus.NewUntypedFunc(prometheus.UntypedOpts{Name: "odd"}, func() float64 { return 7 })
	classic := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "classic_seconds", Buckets: []float64{0.1, 1, 1e6}})
	native := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "native_seconds", NativeHistogramBucketFactor: 1.1, NativeHistogramZeroThreshold: 0.001,
		NativeHistogramMaxExemplars: 4, NativeHistogramExemplarTTL: time.Hour,
	})
	both := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "both_seconds", NativeHistogramBucketFactor: 2, Buckets: []float64{0.5, 2},
	})
	wait := prometheus.NewSummary(prometheus.SummaryOpts{Name: "wait_seconds", Objectives: map[float64]float64{0.5: 0.05, 1: 0}})
	registry := prometheus.NewRegistry()
	registry.MustRegister(orders, room, odd, classic, native, both, wait,
		timed{prometheus.NewDesc("timed", "", nil, nil)})

	trace := prometheus.Labels{"trace_id": "abc"}
	observed := []float64{}
	var bodies [][]byte
	var kind string
	for _, values := range [][]float64{{0.05, 0.5, 3, -3, 0, 0.0005, 1e9}, {0.5, 0.7, 2}} {
		orders.WithLabelValues("ä").(prometheus.ExemplarAdder).AddWithExemplar(2, trace)
		orders.WithLabelValues("b").Add(0.25)
		room.Set(12.5)
		for _, value := range values {
			observed = append(observed, value)
			for _, histogram := range []prometheus.Histogram{classic, native, both} {
				histogram.(prometheus.ExemplarObserver).ObserveWithExemplar(value, trace)
			}
			wait.Observe(value)
		}
		var body []byte
		body, kind = scrape(registry, protobuf)
		bodies = append(bodies, body)
	}
	text, _ := scrape(registry, "text/plain;version=0.0.4")
	err := json.NewEncoder(os.Stdout).Encode(map[string]any{
		"bodies": bodies, "text": text, "content_type": kind, "observed": observed, "orders": map[string]float64{"ä": 4, "b": 0.5},
	})
	if err != nil {
		log.Fatal(err)
	}
}
