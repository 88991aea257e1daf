# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for what other projects' kernel files import, so that these run without the rest of the projects.

The files themselves are fetched (fetch.sh) into a folder that git ignores; here is only what they expect around them.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch


def module(name: str, **attributes: Any) -> types.ModuleType:
    """Put a module of our making where imports find it."""
    made = types.ModuleType(name)
    made.__dict__.update(attributes)
    sys.modules[name] = made
    parent, _, last = name.rpartition(".")
    if parent in sys.modules:
        setattr(sys.modules[parent], last, made)
    return made


def package(name: str, folder: Path | None = None) -> None:
    """Put a package where imports find it: its files are the folder's, but its own code is not run."""
    made = module(name)
    made.__path__ = [] if folder is None else [str(folder)]


class Quiet:
    """A logger that says nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        """Take whatever is logged."""
        return lambda *_, **__: None


class Off:
    """Settings that are all switched off, for code that asks each by ``get()``."""

    def __getattr__(self, name: str) -> Off:
        """Name a setting."""
        return self

    def get(self) -> bool:
        """Say that it is off."""
        return False


class Platform:
    """What vLLM's kernels ask about the device."""

    def is_cuda(self) -> bool:
        """Tell whether there is a GPU."""
        return torch.cuda.is_available()

    def has_device_capability(self, capability: int) -> bool:
        """Tell whether the GPU is of this compute capability or later."""
        major, minor = torch.cuda.get_device_capability()
        return 10 * major + minor >= capability

    def is_device_capability(self, capability: int) -> bool:
        """Tell whether the GPU is of just this compute capability."""
        major, minor = torch.cuda.get_device_capability()
        return 10 * major + minor == capability


class Record:
    """msgspec.Struct as far as its fields and keyword arguments go."""

    def __init_subclass__(cls, frozen: bool = False, kw_only: bool = False) -> None:
        """Make a data class of it."""
        dataclass(frozen=frozen, kw_only=kw_only)(cls)


def _unregistered(**_: Any) -> None:
    # what vLLM's files take as "call the function itself"
    raise AttributeError("operators are not registered here")


def _never(*_: Any, **__: Any) -> None:
    raise NotImplementedError("this part of the project was not fetched")


def vllm(folder: Path) -> None:
    """Make vLLM's Triton kernels of LoRA importable from where they were fetched to."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not there; fetch.sh fetches it")
    import triton
    import triton.language as tl

    for name in ("vllm", "vllm.utils", "vllm.lora", "vllm.lora.ops"):
        package(name)
    package("vllm.lora.ops.triton_ops", folder / "lora" / "ops" / "triton_ops")
    module(
        "vllm.envs",
        VLLM_BATCH_INVARIANT=False,
        VLLM_TUNED_CONFIG_FOLDER=None,
        VLLM_LORA_ENABLE_DUAL_STREAM=False,
        VLLM_LORA_DISABLE_PDL=False,
    )
    module("vllm.logger", init_logger=lambda _: Quiet())
    module("vllm.platforms", current_platform=Platform())
    module("vllm.triton_utils", triton=triton, tl=tl)
    module("vllm.utils.math_utils", next_power_of_2=triton.next_power_of_2)
    module(
        "vllm.utils.torch_utils",
        direct_register_custom_op=_unregistered,
        async_tensor_h2d=lambda values, dtype, device: torch.tensor(values, dtype=dtype, device=device),
    )


def sglang(folder: Path) -> None:
    """Make SGLang's Triton kernels of LoRA importable from where they were fetched to."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not there; fetch.sh fetches it")
    for name in ("sglang", "sglang.kernels", "sglang.kernels.ops", "sglang.srt", "sglang.srt.lora"):
        package(name)
    lora = folder / "kernels" / "ops" / "lora"
    package("sglang.kernels.ops.lora", lora)
    package("sglang.kernels.ops.lora.common", lora / "common")
    package("sglang.kernels.ops.lora.dense", lora / "dense")
    package("sglang.kernels.ops.lora.moe")
    module("sglang.kernels.ops.lora.moe.virtual_experts", _align_block_size_jit=_never)
    module("sglang.srt.lora.utils", LoRABatchInfo=types.SimpleNamespace)
    module("sglang.srt.environ", envs=Off())
    module(
        "sglang.srt.utils",
        # a cache of launches: it saves time on the host alone, which is not measured
        cached_triton_kernel=lambda _: lambda kernel: kernel,
        get_device_name=lambda: torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU",
    )
    if importlib.util.find_spec("msgspec") is None:
        module("msgspec", Struct=Record)
