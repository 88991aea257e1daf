# SPDX-License-Identifier: Apache-2.0
"""How a runner is spoken to: a line of JSON in, a line of JSON out.

A runner first says ``{"engine": what it is}``. Then it answers each request

    {"prompts": [[token, ...], ...], "adapters": [index or -1, ...], "new_tokens": n}

greedily, end-of-text tokens ignored, with

    {"tokens": [[token, ...], ...],       what was generated
     "log_probs": [[number, ...], ...],   of these tokens, where the request has "log_probs": true
     "first_seconds": s,                  until every prompt had its first token
     "seconds": s,                        until all was done
     "decoded": n}                        the tokens generated between the two

and, while the others have their turn, waits without computing. It ends with its input.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any


def serve(engine: str, answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Answer requests until there are no more."""
    # Libraries print where they like; the answers keep standard output to themselves.
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    print(json.dumps({"engine": engine}), file=out, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), file=out, flush=True)
