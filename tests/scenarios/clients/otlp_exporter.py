"""One span by OpenTelemetry's own exporter, as any instrumented program sends it.

The environment holds the address (``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT``) and headers. Prints the trace's id.
"""

from __future__ import annotations

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
with provider.get_tracer(__name__).start_as_current_span("think") as span:
    print(f"tr-{span.get_span_context().trace_id:032x}")
provider.shutdown()
