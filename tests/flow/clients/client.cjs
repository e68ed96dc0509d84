// The OpenTelemetry SDK of Node: records what every client of these tests records, pushes it once.
// Arguments: protocol (grpc, http/protobuf, http/json), endpoint, compression (none, gzip), service.
"use strict";

const { CompressionAlgorithm } = require("@opentelemetry/otlp-exporter-base");
const { resourceFromAttributes } = require("@opentelemetry/resources");
const {
  AggregationType,
  MeterProvider,
  PeriodicExportingMetricReader,
} = require("@opentelemetry/sdk-metrics");

const [protocol, endpoint, compression, service] = process.argv.slice(2);
const packages = {
  grpc: "@opentelemetry/exporter-metrics-otlp-grpc",
  "http/protobuf": "@opentelemetry/exporter-metrics-otlp-proto",
  "http/json": "@opentelemetry/exporter-metrics-otlp-http",
};

async function main() {
  const { OTLPMetricExporter } = require(packages[protocol]);
  const exporter = new OTLPMetricExporter({
    url: protocol === "grpc" ? endpoint : `${endpoint}/v1/metrics`,
    compression: compression === "gzip" ? CompressionAlgorithm.GZIP : CompressionAlgorithm.NONE,
    timeoutMillis: 20000,
  });
  let failure;
  const send = exporter.export.bind(exporter);
  exporter.export = (metrics, done) =>
    send(metrics, (result) => {
      failure = result.error;
      done(result);
    });
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3600000 });
  const provider = new MeterProvider({
    readers: [reader],
    resource: resourceFromAttributes({
      "service.name": service,
      "service.instance.id": `${service}-1`,
      team: "t",
    }),
    views: [
      {
        instrumentName: "latency",
        aggregation: {
          type: AggregationType.EXPLICIT_BUCKET_HISTOGRAM,
          options: { boundaries: [0.1, 1] },
        },
      },
    ],
  });
  const meter = provider.getMeter("flow", "1.0");
  meter.createCounter("orders", { unit: "{order}", description: "Orders taken." }).add(7, { shop: "ä" });
  const histogram = meter.createHistogram("latency", { unit: "s" });
  for (const value of [0.05, 0.5, 5]) histogram.record(value, { shop: "ä" });
  meter.createGauge("room", { unit: "By" }).record(12.5, { shop: "ä" });
  await provider.shutdown();
  if (failure) throw failure;
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
