import io.opentelemetry.api.logs.Logger;
import io.opentelemetry.sdk.OpenTelemetrySdk;
import io.opentelemetry.sdk.autoconfigure.AutoConfiguredOpenTelemetrySdk;

/** The OpenTelemetry SDK for Java, configured by itself. The environment has endpoint and token. App <records> */
public final class App {
  public static void main(String[] arguments) {
    try (OpenTelemetrySdk sdk = AutoConfiguredOpenTelemetrySdk.initialize().getOpenTelemetrySdk()) {
      Logger logger = sdk.getSdkLoggerProvider().get("app");
      for (int number = 0; number < Integer.parseInt(arguments[0]); number++) {
        logger.logRecordBuilder().setBody("record " + number).emit();
      }
    }
  }
}
