"""What every peer script shares: it reads one command a line on stdin and answers with JSON lines on stdout, so that
a bench can run ours and the peer's in turns in two processes. Anything else a library prints goes to stderr.

The first line out is {"ready": {...}}; every failure is {"error": "..."} and exit status 1.
"""

import json
import os
import resource
import sys
import time


def set_threads(count):
    """Call before torch is imported: OpenMP and MKL read these once."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(count)
    import torch

    torch.set_num_threads(count)
    torch.set_num_interop_threads(1)


_answers = sys.stdout
sys.stdout = sys.stderr


def answer(value):
    _answers.write(json.dumps(value) + "\n")
    _answers.flush()


def timed(work):
    """Runs `work` and returns (milliseconds, its result)."""
    start = time.perf_counter()
    result = work()
    return (time.perf_counter() - start) * 1000, result


def peak_rss_bytes():
    """The process's peak resident memory (Linux counts ru_maxrss in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def serve(handlers, ready):
    """Answers `NAME ARGUMENT…` with handlers[NAME](*arguments) until stdin ends or `quit` comes."""
    answer({"ready": ready})
    for line in sys.stdin:
        words = line.split()
        if not words:
            continue
        if words[0] == "quit":
            return
        try:
            handlers[words[0]](*words[1:])
        except Exception as error:
            answer({"error": f"{line.strip()}: {type(error).__name__}: {str(error)[:300]}"})
            raise SystemExit(1) from error
