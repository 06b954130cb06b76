// The OpenTelemetry SDK for JavaScript as a stock client:
// client.js <endpoint> <token> <resource attributes as JSON> <gzip|none> [name=value…], the last being metadata.
"use strict";

const { Metadata } = require("@grpc/grpc-js");
const { SeverityNumber } = require("@opentelemetry/api-logs");
const { OTLPLogExporter } = require("@opentelemetry/exporter-logs-otlp-grpc");
const { resourceFromAttributes } = require("@opentelemetry/resources");
const { BatchLogRecordProcessor, LoggerProvider } = require("@opentelemetry/sdk-logs");

const [endpoint, token, resource, compression, ...extra] = process.argv.slice(2);
const metadata = new Metadata();
metadata.set("authorization", `Bearer ${token}`);
for (const word of extra) metadata.set(...word.split("=", 2));

let failure = null;
class Watched extends OTLPLogExporter {
  export(records, done) {
    super.export(records, (result) => {
      if (result.code !== 0) failure = result.error || new Error("export failed");
      done(result);
    });
  }
}

const provider = new LoggerProvider({
  resource: resourceFromAttributes(JSON.parse(resource)),
  processors: [new BatchLogRecordProcessor(new Watched({ url: endpoint, metadata, compression }))],
});
const logger = provider.getLogger("checkout", "1.0.0");
logger.emit({ severityNumber: SeverityNumber.DEBUG, severityText: "DEBUG", body: "fine" });
logger.emit({
  severityNumber: SeverityNumber.INFO,
  severityText: "INFO",
  body: { text: "paid \u2603", nested: [1, 2.5, null, true] },
  attributes: { amount: 12.5, items: 3, express: true, tags: ["a", "b"] },
});
logger.emit({ severityNumber: SeverityNumber.ERROR, severityText: "ERROR", body: "broken", timestamp: new Date(0) });
provider.forceFlush()
  .then(() => provider.shutdown())
  .then(() => {
    if (failure) throw failure;
  })
  .catch((error) => {
    console.error(error);
    process.exit(1);
  });
