// The OpenTelemetry SDK for Go as its documentation begins: no resource, no option. The environment has endpoint and token.
// app <records>
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	otellog "go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
)

func main() {
	ctx := context.Background()
	records, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	exporter, err := otlploggrpc.New(ctx)
	if err != nil {
		log.Fatal(err)
	}
	provider := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(exporter)))
	logger := provider.Logger("app")
	for number := range records {
		var record otellog.Record
		record.SetBody(attribute.StringValue(fmt.Sprintf("record %d", number)))
		logger.Emit(ctx, record)
	}
	if err := provider.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
}
