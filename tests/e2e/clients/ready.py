"""Ends as soon as Milvus answers a real call, with an error after 90 seconds: its /healthz says OK earlier than that."""

import os
import time

from pymilvus import MilvusClient

URI = os.environ.get("MILVUS_URI", "http://127.0.0.1:19530")
deadline = time.monotonic() + 90

while True:
    try:
        MilvusClient(uri=URI, timeout=2).list_collections(timeout=2)
        break
    except Exception:
        if time.monotonic() > deadline:
            raise
        time.sleep(0.2)
