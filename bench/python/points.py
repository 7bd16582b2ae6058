"""Answers the benchmark's questions with programs of others: one JSON object a line in, one a line out.

{"do": "filter", "file": FILE}          seconds that moocore takes to tell which points nothing dominates, and how many those are
{"do": "hypervolume", "file": FILE}     seconds that moocore takes for the area they dominate up to the reference, and the area
{"do": "rows", "file": FILE}            rows of a Parquet file, as pyarrow has it

A file of points has little-endian doubles: the reference's cost and accuracy, then those of each point. What is timed is the call alone,
on an array as moocore wants it: contiguous doubles, of which less is better.
"""

import functools
import json
import sys
import time

import moocore
import numpy


@functools.cache
def points(file):
    minimised = numpy.ascontiguousarray(numpy.fromfile(file, "<f8").reshape(-1, 2) * [1.0, -1.0])
    return minimised[0], numpy.ascontiguousarray(minimised[1:])


def answer(do, file):
    if do == "rows":
        import pyarrow.parquet

        return {"seconds": 0.0, "value": pyarrow.parquet.read_metadata(file).num_rows}
    reference, data = points(file)
    start = time.perf_counter()
    if do == "filter":
        found = moocore.is_nondominated(data, keep_weakly=True)
    else:
        found = moocore.hypervolume(data, ref=reference)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "value": float(numpy.sum(found))}


print(json.dumps({"version": moocore.__version__}), flush=True)
for line in sys.stdin:
    print(json.dumps(answer(**json.loads(line))), flush=True)
