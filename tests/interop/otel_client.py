"""The OpenTelemetry SDK for Python as a stock client:
otel_client.py <endpoint> <token> <resource attributes as JSON> <gzip|none> [name=value…], the last being metadata."""

import json
import logging
import sys

from grpc import Compression
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

endpoint, token, resource, compression, *extra = sys.argv[1:]
metadata = [("authorization", "Bearer " + token)] + [tuple(word.split("=", 1)) for word in extra]
chosen = {"gzip": Compression.Gzip, "none": Compression.NoCompression}[compression]

provider = LoggerProvider(resource=Resource.create(json.loads(resource)))
provider.add_log_record_processor(BatchLogRecordProcessor(
    OTLPLogExporter(endpoint=endpoint, insecure=True, headers=metadata, compression=chosen)))
logger = logging.getLogger("checkout")
logger.setLevel(logging.DEBUG)
logger.addHandler(LoggingHandler(logger_provider=provider))

logger.debug("fine")
logger.info("paid %s", "\u2603", extra={"amount": 12.5, "items": 3, "express": True, "tags": ["a", "b"]})
try:
    1 / 0
except ZeroDivisionError:
    logger.exception("broken")
if not provider.force_flush(30000):
    sys.exit("not flushed")
provider.shutdown()
