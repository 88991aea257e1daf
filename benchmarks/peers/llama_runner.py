# SPDX-License-Identifier: Apache-2.0
"""Runs requests in llama.cpp, through llama-cpp-python's binding of its C interface.

A context of llama.cpp has its adapters for all of its sequences, so requests with different ones
are run one after another, and those with the same one in one batch.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
from protocol import serve

GGML_TYPES = {"f16": 1, "bf16": 30, "f32": 0}
PROMPT_ROWS = 512


class Context:
    """A context for a number of sequences."""

    def __init__(self, model: Any, sequences: int, positions: int, options: Any) -> None:
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = sequences * positions
        parameters.n_batch = PROMPT_ROWS
        parameters.n_ubatch = PROMPT_ROWS
        parameters.n_seq_max = sequences
        parameters.n_threads = options.threads
        parameters.n_threads_batch = options.threads
        parameters.flash_attn_type = int(options.flash_attention)
        # of the two 16-bit types the one that was faster
        cache = options.cache or ("f16" if sequences == 1 else "bf16")
        parameters.type_k = parameters.type_v = GGML_TYPES[cache]
        parameters.kv_unified = False
        parameters.no_perf = True
        self.handle = llama_cpp.llama_init_from_model(model, parameters)
        if not self.handle:
            raise RuntimeError("llama.cpp made no context")
        self.batch = llama_cpp.llama_batch_init(PROMPT_ROWS, 0, 1)
        vocabulary = llama_cpp.llama_model_get_vocab(model)
        self.vocabulary = llama_cpp.llama_vocab_n_tokens(vocabulary)

    def adapt(self, adapter: Any) -> None:
        """Set the one adapter, or none."""
        count = 0 if adapter is None else 1
        adapters = (llama_cpp.llama_adapter_lora_p_ctypes * 1)(adapter)
        scales = (ctypes.c_float * 1)(1.0)
        if llama_cpp.llama_set_adapters_lora(self.handle, adapters, count, scales) != 0:
            raise RuntimeError("llama.cpp did not take the adapter")

    def clear(self) -> None:
        """Forget all sequences."""
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.handle), False)

    def decode(self, rows: list[tuple[int, int, int, bool]]) -> list[np.ndarray]:
        """Run rows of (token, position, sequence, whether its logits are wanted)."""
        batch = self.batch
        for i, (token, position, sequence, wanted) in enumerate(rows):
            batch.token[i] = token
            batch.pos[i] = position
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = sequence
            batch.logits[i] = wanted
        batch.n_tokens = len(rows)
        code = llama_cpp.llama_decode(self.handle, batch)
        if code != 0:
            raise RuntimeError(f"llama_decode said {code}")
        logits = []
        for i, row in enumerate(rows):
            if row[3]:
                pointer = llama_cpp.llama_get_logits_ith(self.handle, i)
                logits.append(np.ctypeslib.as_array(pointer, (self.vocabulary,)))
        return logits


def log_prob(logits: np.ndarray, token: int) -> float:
    """Say how probable a token was."""
    wide = logits.astype(np.float64)
    top = wide.max()
    return float(wide[token] - top - np.log(np.exp(wide - top).sum()))


def generate(
    context: Context, prompts: list[list[int]], count: int, wants_log_probs: bool
) -> tuple[list[list[int]], list[list[float]], float]:
    """Run prompts in one batch; also say when all had their first token."""
    tokens: list[list[int]] = [[] for _ in prompts]
    log_probs: list[list[float]] = [[] for _ in prompts]

    def take(sequence: int, logits: np.ndarray) -> None:
        token = int(logits.argmax())
        tokens[sequence].append(token)
        if wants_log_probs:
            log_probs[sequence].append(log_prob(logits, token))

    context.clear()
    rows = [
        (token, position, sequence, position == len(prompt) - 1)
        for sequence, prompt in enumerate(prompts)
        for position, token in enumerate(prompt)
    ]
    for start in range(0, len(rows), PROMPT_ROWS):
        chunk = rows[start : start + PROMPT_ROWS]
        ending = [row[2] for row in chunk if row[3]]
        for sequence, logits in zip(ending, context.decode(chunk), strict=True):
            take(sequence, logits)
    first = time.perf_counter()
    for step in range(count - 1):
        rows = [(tokens[i][-1], len(prompt) + step, i, True) for i, prompt in enumerate(prompts)]
        for sequence, logits in enumerate(context.decode(rows)):
            take(sequence, logits)
    return tokens, log_probs, first


def main() -> None:
    """Load everything and answer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--adapters", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--flash-attention", type=int, choices=(0, 1), default=1)
    parser.add_argument("--cache", choices=GGML_TYPES)
    options = parser.parse_args()

    # kept for as long as the library may call it
    silent = llama_cpp.llama_log_callback(lambda level, text, data: None)
    if "PEERS_VERBOSE" not in os.environ:
        llama_cpp.llama_log_set(silent, None)
    llama_cpp.llama_backend_init()
    parameters = llama_cpp.llama_model_default_params()
    path = str(options.folder / "model.gguf").encode()
    model = llama_cpp.llama_model_load_from_file(path, parameters)
    if not model:
        raise RuntimeError(f"llama.cpp did not load {options.folder}/model.gguf")
    adapters = []
    for i in range(options.adapters):
        path = str(options.folder / f"adapter{i}.gguf").encode()
        adapters.append(llama_cpp.llama_adapter_lora_init(model, path))
        if not adapters[-1]:
            raise RuntimeError(f"llama.cpp did not load {options.folder}/adapter{i}.gguf")
    single = Context(model, 1, 1024, options)
    several = Context(model, 16, 256, options)

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        prompts, chosen = request["prompts"], request["adapters"]
        groups: dict[int, list[int]] = {}
        for i, adapter in enumerate(chosen):
            groups.setdefault(adapter, []).append(i)
        tokens: list[list[int]] = [[] for _ in prompts]
        log_probs: list[list[float]] = [[] for _ in prompts]
        start = first = time.perf_counter()
        for adapter, members in groups.items():
            context = single if len(members) == 1 else several
            context.adapt(None if adapter < 0 else adapters[adapter])
            made, probable, first = generate(
                context,
                [prompts[i] for i in members],
                request["new_tokens"],
                request.get("log_probs", False),
            )
            for i, member in enumerate(members):
                tokens[member], log_probs[member] = made[i], probable[i]
        end = time.perf_counter()
        last = len(list(groups.values())[-1])
        return {
            "tokens": tokens,
            "log_probs": log_probs,
            "first_seconds": first - start,
            "seconds": end - start,
            "decoded": last * (request["new_tokens"] - 1),
        }

    compiled = llama_cpp.llama_print_system_info().decode().strip()
    serve(f"llama.cpp of llama-cpp-python {version('llama-cpp-python')}, {compiled}", answer)


if __name__ == "__main__":
    main()
