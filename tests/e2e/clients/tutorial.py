"""One run of the tutorial's client: a single trace over a whole life of a collection, exported over OTLP/gRPC.

The behaviour of topikachu/milvus-py-otel's test, with a search, a query and a delete added so that Milvus' C++ part
(segcore) takes part. Prints `trace_id <hex>` first and one line a step; ends with an error when a step fails.

Environment: OTEL_EXPORTER_OTLP_ENDPOINT (where spans go), MILVUS_URI.
"""

import os
import random
import time

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.grpc import GrpcInstrumentorClient
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

resource = Resource.create({"service.name": "milvus-client", "application": "milvus-otel-test"})
trace.set_tracer_provider(TracerProvider(resource=resource))
trace.get_tracer_provider().add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
# Before pymilvus is imported: the instrumentation wraps the functions that make channels.
GrpcInstrumentorClient().instrument()
tracer = trace.get_tracer(__name__)

from pymilvus import MilvusClient  # noqa: E402

URI = os.environ.get("MILVUS_URI", "http://127.0.0.1:19530")
NAME = "quick_setup"


def step(name, action):
    started = time.time()
    try:
        result = action()
    except Exception as error:
        print(f"ERR {name} {time.time() - started:.3f}s", type(error).__name__, str(error)[:300])
        raise
    print(f"ok  {name} {time.time() - started:.3f}s", str(result)[:100])
    return result


with tracer.start_as_current_span("test_milvus_otel") as root:
    print("trace_id", format(root.get_span_context().trace_id, "032x"), flush=True)
    client = step("connect", lambda: MilvusClient(uri=URI))
    if step("has", lambda: client.has_collection(NAME)):
        step("drop", lambda: client.drop_collection(NAME))
    step("create", lambda: client.create_collection(collection_name=NAME, dimension=5))
    step("load_state", lambda: client.get_load_state(collection_name=NAME))
    data = [{"id": i, "vector": [random.random() for _ in range(5)], "color": f"c{i}"} for i in range(10)]
    inserted = step("insert", lambda: client.insert(collection_name=NAME, data=data))
    assert inserted["insert_count"] == 10
    with tracer.start_as_current_span("search-phase"):
        step("search", lambda: client.search(
            collection_name=NAME, data=[[0.1] * 5], limit=3, output_fields=["color"], consistency_level="Strong"))
        step("query", lambda: client.query(collection_name=NAME, filter="id in [1,2,3]", output_fields=["color"]))
        step("delete", lambda: client.delete(collection_name=NAME, ids=[1]))
    step("drop", lambda: client.drop_collection(NAME))
    client.close()
trace.get_tracer_provider().shutdown()
