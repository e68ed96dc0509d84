// The OpenTelemetry SDK of Go: records what every client of these tests records, pushes it once.
// Arguments: protocol (grpc, http/protobuf), endpoint, compression (none, gzip), service.
package main

import (
	"context"
	"log"
	"os"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
)

func exporter(ctx context.Context, protocol, endpoint, compression string) (sdk.Exporter, error) {
	if protocol == "grpc" {
		options := []otlpmetricgrpc.Option{otlpmetricgrpc.WithEndpointURL(endpoint), otlpmetricgrpc.WithTimeout(20 * time.Second)}
		if compression == "gzip" {
			options = append(options, otlpmetricgrpc.WithCompressor("gzip"))
		}
		return otlpmetricgrpc.New(ctx, options...)
	}
	options := []otlpmetrichttp.Option{otlpmetrichttp.WithEndpointURL(endpoint + "/v1/metrics"), otlpmetrichttp.WithTimeout(20 * time.Second)}
	if compression == "gzip" {
		options = append(options, otlpmetrichttp.WithCompression(otlpmetrichttp.GzipCompression))
	}
	return otlpmetrichttp.New(ctx, options...)
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	protocol, endpoint, compression, service := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	ctx := context.Background()
	to, err := exporter(ctx, protocol, endpoint, compression)
	must(err)
	provider := sdk.NewMeterProvider(
		sdk.WithReader(sdk.NewPeriodicReader(to, sdk.WithInterval(time.Hour))),
		sdk.WithResource(resource.NewSchemaless(
			attribute.String("service.name", service),
			attribute.String("service.instance.id", service+"-1"),
			attribute.String("team", "t"),
		)),
	)
	meter := provider.Meter("flow", metric.WithInstrumentationVersion("1.0"))
	shop := metric.WithAttributes(attribute.String("shop", "ä"))
	orders, err := meter.Float64Counter("orders", metric.WithUnit("{order}"), metric.WithDescription("Orders taken."))
	must(err)
	orders.Add(ctx, 7, shop)
	latency, err := meter.Float64Histogram("latency", metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(0.1, 1))
	must(err)
	for _, value := range []float64{0.05, 0.5, 5} {
		latency.Record(ctx, value, shop)
	}
	room, err := meter.Float64Gauge("room", metric.WithUnit("By"))
	must(err)
	room.Record(ctx, 12.5, shop)
	must(provider.Shutdown(ctx))
}
