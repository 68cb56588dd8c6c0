"""Searches as fast as a few connections go, for a given time: a Milvus at work, not only one that answers a tutorial.

Usage: load.py SECONDS CONNECTIONS, environment: MILVUS_URI. Sends no spans of its own.
"""

import os
import random
import sys
import threading
import time

from pymilvus import MilvusClient

URI = os.environ.get("MILVUS_URI", "http://127.0.0.1:19530")
NAME = "load"
SECONDS, CONNECTIONS = float(sys.argv[1]), int(sys.argv[2])

client = MilvusClient(uri=URI)
if client.has_collection(NAME):
    client.drop_collection(NAME)
client.create_collection(collection_name=NAME, dimension=32)
rows = [{"id": i, "vector": [random.random() for _ in range(32)]} for i in range(2000)]
client.insert(collection_name=NAME, data=rows)
client.search(collection_name=NAME, data=[[0.1] * 32], limit=3)
counts = [0] * CONNECTIONS
started = time.time()


def search(connection):
    own = MilvusClient(uri=URI)
    while time.time() < started + SECONDS:
        own.search(collection_name=NAME, data=[[random.random() for _ in range(32)]], limit=5)
        counts[connection] += 1


threads = [threading.Thread(target=search, args=(connection,)) for connection in range(CONNECTIONS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("searches", sum(counts), "qps", round(sum(counts) / (time.time() - started)))
client.drop_collection(NAME)
