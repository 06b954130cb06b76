// The OpenTelemetry SDK for JavaScript as its documentation begins: no resource, no option. The environment has endpoint and
// token. app.js <records>
"use strict";

const { OTLPLogExporter } = require("@opentelemetry/exporter-logs-otlp-grpc");
const { BatchLogRecordProcessor, LoggerProvider } = require("@opentelemetry/sdk-logs");

const provider = new LoggerProvider({ processors: [new BatchLogRecordProcessor(new OTLPLogExporter())] });
const logger = provider.getLogger("app");
for (let number = 0; number < Number(process.argv[2]); number++) logger.emit({ body: `record ${number}` });
provider.forceFlush().then(() => provider.shutdown());
