//! The OpenTelemetry SDK for Rust as its documentation begins: no resource, no option but gRPC. The environment has endpoint
//! and token. otel-defaults <records>

use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider};
use opentelemetry_otlp::LogExporter;
use opentelemetry_sdk::logs::SdkLoggerProvider;

#[tokio::main]
async fn main() {
    let records: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    let exporter = LogExporter::builder().with_tonic().build().unwrap();
    let provider = SdkLoggerProvider::builder().with_batch_exporter(exporter).build();
    let logger = provider.logger("app");
    for number in 0..records {
        let mut record = logger.create_log_record();
        record.set_body(AnyValue::from(format!("record {number}")));
        logger.emit(record);
    }
    provider.shutdown().unwrap();
}
