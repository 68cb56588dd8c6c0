"""Searches over many rows that are still growing, which makes Milvus' C++ part send requests of over 4 MiB.

A growing segment is searched in small pieces, and each piece is an event of the search's span: with 20,000 rows a span
of segcore carries some 150 events, and 512 such spans are one request.

Usage: grow.py ROWS SEARCHES, environment: MILVUS_URI. Sends no spans of its own.
"""

import os
import random
import sys
import threading
import time

import numpy as np
from pymilvus import MilvusClient

URI = os.environ.get("MILVUS_URI", "http://127.0.0.1:19530")
NAME = "grow"
THREADS = 4
ROWS, SEARCHES = int(sys.argv[1]), int(sys.argv[2])
PER_THREAD = SEARCHES // THREADS

client = MilvusClient(uri=URI)
if client.has_collection(NAME):
    client.drop_collection(NAME)
client.create_collection(collection_name=NAME, dimension=8)
for base in range(0, ROWS, 5000):
    rows = [{"id": base + i, "vector": list(map(float, np.random.rand(8)))} for i in range(min(5000, ROWS - base))]
    client.insert(collection_name=NAME, data=rows)
client.search(collection_name=NAME, data=[[0.1] * 8], limit=3, consistency_level="Strong")
# At the collection's own consistency a search sees rows up to five seconds late, and unseen rows make no events.
while client.query(collection_name=NAME, filter="", output_fields=["count(*)"])[0]["count(*)"] < ROWS:
    time.sleep(0.1)


def search():
    own = MilvusClient(uri=URI)
    for _ in range(PER_THREAD):
        own.search(collection_name=NAME, data=[[random.random()] * 8], limit=5)


started = time.time()
threads = [threading.Thread(target=search) for _ in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("rows", ROWS, "searches", PER_THREAD * THREADS, "qps", round(PER_THREAD * THREADS / (time.time() - started)))
client.drop_collection(NAME)
