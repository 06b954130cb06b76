#pragma once
/* Short names for the generated OTLP messages, for the files that build or read them. */

#include "collector_logs.pb-c.h"
#include "common.pb-c.h"
#include "logs.pb-c.h"

typedef Opentelemetry__Proto__Common__V1__AnyValue OtlpAnyValue;
typedef Opentelemetry__Proto__Common__V1__ArrayValue OtlpArrayValue;
typedef Opentelemetry__Proto__Common__V1__KeyValueList OtlpKeyValueList;
typedef Opentelemetry__Proto__Common__V1__KeyValue OtlpKeyValue;
typedef Opentelemetry__Proto__Common__V1__InstrumentationScope OtlpScope;
typedef Opentelemetry__Proto__Common__V1__Resource OtlpResource;
typedef Opentelemetry__Proto__Logs__V1__ScopeLogs OtlpScopeLogs;
typedef Opentelemetry__Proto__Logs__V1__LogRecord OtlpLogRecord;

#define OTLP_ANY(name) OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_##name
