# SPDX-License-Identifier: Apache-2.0
"""Runs requests in transformers and PEFT, a batch with several adapters by ``adapter_names``."""

from __future__ import annotations

import argparse
import os
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from peft import PeftModel
from protocol import serve
from transformers import AutoModelForCausalLM
from transformers.generation.streamers import BaseStreamer

BASE = "__base__"


class FirstToken(BaseStreamer):
    """Notes when the first tokens of a batch came."""

    def __init__(self) -> None:
        self.calls = 0
        self.time = 0.0

    def put(self, value: torch.Tensor) -> None:
        """Take the prompts, then the batch's tokens, step by step."""
        self.calls += 1
        if self.calls == 2:
            self.time = time.perf_counter()

    def end(self) -> None:
        """Do nothing: the call's end says it too."""


def main() -> None:
    """Load everything and answer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--adapters", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.filterwarnings("ignore")

    base = AutoModelForCausalLM.from_pretrained(options.folder / "model", dtype=torch.bfloat16)
    model = PeftModel.from_pretrained(
        base, options.folder / "adapter0", adapter_name="adapter0", autocast_adapter_dtype=False
    )
    for i in range(1, options.adapters):
        model.load_adapter(
            options.folder / f"adapter{i}", f"adapter{i}", autocast_adapter_dtype=False
        )
    model.eval()
    types = {str(parameter.dtype) for parameter in model.parameters()}
    assert types == {"torch.bfloat16"}, types
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = 0

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        prompts = torch.tensor(request["prompts"])
        names = [BASE if i < 0 else f"adapter{i}" for i in request["adapters"]]
        wants_log_probs = request.get("log_probs", False)
        streamer = FirstToken()
        start = time.perf_counter()
        with torch.inference_mode():
            result = model.generate(
                input_ids=prompts,
                attention_mask=torch.ones_like(prompts),
                adapter_names=names,
                do_sample=False,
                use_cache=True,
                max_new_tokens=request["new_tokens"],
                streamer=streamer,
                output_scores=wants_log_probs,
                return_dict_in_generate=True,
            )
        end = time.perf_counter()
        tokens = result.sequences[:, prompts.shape[1] :]
        log_probs: list[list[float]] = []
        if wants_log_probs:
            scores = torch.stack(result.scores, dim=1).double().log_softmax(-1)
            log_probs = scores.gather(-1, tokens.unsqueeze(-1)).squeeze(-1).tolist()
        return {
            "tokens": tokens.tolist(),
            "log_probs": log_probs,
            "first_seconds": streamer.time - start,
            "seconds": end - start,
            "decoded": tokens.shape[0] * (tokens.shape[1] - 1),
        }

    serve(
        f"PEFT {version('peft')} on transformers {version('transformers')} and torch"
        f" {version('torch').split('+')[0]}",
        answer,
    )


if __name__ == "__main__":
    main()
