# SPDX-License-Identifier: Apache-2.0
"""Make the model and the adapters that all engines run, as Hugging Face folders and as GGUF.

The weights are random, but in the proportions of trained ones, so that attention, feed-forward
parts and adapters all take part in what the engines answer and their answers can be compared.
"""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import gguf
import torch
from safetensors.torch import load_file, save_file

POSITIONS = 4096
NORM_EPSILON = 1e-6
ROPE_THETA = 1e6
# Changes when the files do, so that those of an earlier version are made again.
VERSION = "1"


@dataclass(frozen=True)
class Shape:
    """The sizes of a Qwen2 model whose output layer is its embedding."""

    layers: int
    hidden: int
    heads: int
    key_heads: int
    inner: int
    vocabulary: int

    def linears(self) -> dict[str, tuple[int, int]]:
        """Name each linear layer of a decoder layer, with its outputs and inputs."""
        keys = self.hidden // self.heads * self.key_heads
        return {
            "self_attn.q_proj": (self.hidden, self.hidden),
            "self_attn.k_proj": (keys, self.hidden),
            "self_attn.v_proj": (keys, self.hidden),
            "self_attn.o_proj": (self.hidden, self.hidden),
            "mlp.gate_proj": (self.inner, self.hidden),
            "mlp.up_proj": (self.inner, self.hidden),
            "mlp.down_proj": (self.hidden, self.inner),
        }


SHAPES = {
    "qwen2-0.5b": Shape(24, 896, 14, 2, 4864, 151_936),
    "qwen2-tiny": Shape(2, 128, 4, 2, 256, 1_000),
}


def normal(generator: torch.Generator, size: tuple[int, ...], spread: float) -> torch.Tensor:
    """Draw weights."""
    return (torch.randn(size, generator=generator) * spread).to(torch.bfloat16)


def write_model(shape: Shape, folder: Path) -> None:
    """Write the model's folder."""
    generator = torch.Generator().manual_seed(1)
    tensors = {
        "model.embed_tokens.weight": normal(generator, (shape.vocabulary, shape.hidden), 0.05)
    }

    def norm(name: str) -> None:
        tensors[name] = 1 + normal(generator, (shape.hidden,), 0.1)

    for layer in range(shape.layers):
        prefix = f"model.layers.{layer}."
        for name, size in shape.linears().items():
            tensors[f"{prefix}{name}.weight"] = normal(generator, size, size[1] ** -0.5)
            if name[-6] in "qkv":
                tensors[f"{prefix}{name}.bias"] = normal(generator, size[:1], 0.1)
        norm(f"{prefix}input_layernorm.weight")
        norm(f"{prefix}post_attention_layernorm.weight")
    norm("model.norm.weight")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "hidden_act": "silu",
        "torch_dtype": "bfloat16",
        "tie_word_embeddings": True,
        "rms_norm_eps": NORM_EPSILON,
        "rope_theta": ROPE_THETA,
        "max_position_embeddings": POSITIONS,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.key_heads,
        "num_hidden_layers": shape.layers,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.inner,
        "vocab_size": shape.vocabulary,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "use_sliding_window": False,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2))


def write_adapter(shape: Shape, folder: Path, rank: int, seed: int) -> None:
    """Write a LoRA adapter of all linear layers as PEFT does."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for layer in range(shape.layers):
        for name, (outputs, inputs) in shape.linears().items():
            prefix = f"base_model.model.model.layers.{layer}.{name}"
            a = normal(generator, (rank, inputs), inputs**-0.5)
            tensors[f"{prefix}.lora_A.weight"] = a
            tensors[f"{prefix}.lora_B.weight"] = normal(generator, (outputs, rank), 0.05)
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": rank,
        "lora_alpha": 2 * rank,
        "target_modules": [name.split(".")[1] for name in shape.linears()],
    }
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2))


def add_tensor(writer: gguf.GGUFWriter, name: str, tensor: torch.Tensor) -> None:
    """Store a matrix as it is and a vector in float32, which llama.cpp wants them in."""
    if tensor.dim() == 1:
        writer.add_tensor(name, tensor.float().numpy())
    else:
        octets = tensor.contiguous().view(torch.uint8).numpy()
        writer.add_tensor(name, octets, raw_dtype=gguf.GGMLQuantizationType.BF16)


def finish(writer: gguf.GGUFWriter) -> None:
    """Write the file."""
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def convert_model(shape: Shape, folder: Path, target: Path) -> None:
    """Write the model as GGUF, without a vocabulary: the engines are given tokens."""
    writer = gguf.GGUFWriter(target, gguf.MODEL_ARCH_NAMES[gguf.MODEL_ARCH.QWEN2])
    writer.add_context_length(POSITIONS)
    writer.add_embedding_length(shape.hidden)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.key_heads)
    writer.add_rope_freq_base(ROPE_THETA)
    writer.add_layer_norm_rms_eps(NORM_EPSILON)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)
    writer.add_tokenizer_model("no_vocab")
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN2, shape.layers)
    for name, tensor in load_file(folder / "model.safetensors").items():
        known = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert known is not None, name
        add_tensor(writer, known, tensor)
    finish(writer)


def convert_adapter(shape: Shape, folder: Path, target: Path) -> None:
    """Write an adapter as GGUF."""
    config = json.loads((folder / "adapter_config.json").read_text())
    writer = gguf.GGUFWriter(target, gguf.MODEL_ARCH_NAMES[gguf.MODEL_ARCH.QWEN2])
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(config["lora_alpha"]))
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN2, shape.layers)
    for name, tensor in load_file(folder / "adapter_model.safetensors").items():
        module, side = name.removeprefix("base_model.model.").split(".lora_")
        known = names.get_name(module)
        assert known is not None, module
        add_tensor(writer, f"{known}.weight.lora_{side[0].lower()}", tensor)
    finish(writer)


def main() -> None:
    """Make what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shape", choices=SHAPES, default="qwen2-0.5b")
    parser.add_argument("--adapters", type=int, default=16)
    parser.add_argument("--rank", type=int, default=16)
    options = parser.parse_args()
    shape = SHAPES[options.shape]
    stamp = options.folder / "made"
    wanted = f"{VERSION} {options.shape} {options.adapters} {options.rank}"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    if options.folder.exists():
        shutil.rmtree(options.folder)
    model = options.folder / "model"
    model.mkdir(parents=True)
    write_model(shape, model)
    convert_model(shape, model, options.folder / "model.gguf")
    for index in range(options.adapters):
        adapter = options.folder / f"adapter{index}"
        adapter.mkdir()
        write_adapter(shape, adapter, options.rank, index + 2)
        convert_adapter(shape, adapter, options.folder / f"adapter{index}.gguf")
    stamp.write_text(wanted)


if __name__ == "__main__":
    main()
