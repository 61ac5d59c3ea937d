"""Tiny CLIPs with random weights, in the layouts of the published ones."""

import json
import string
from pathlib import Path

import torch


def write_clip(folder: Path) -> Path:
    """Write it; needs ``transformers``."""
    from transformers import CLIPConfig, CLIPModel

    folder.mkdir(parents=True, exist_ok=True)
    letters = string.ascii_lowercase
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "CLIPTokenizer"}))
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    last = len(tokens) - 1
    text = small | {
        "vocab_size": len(tokens),
        "max_position_embeddings": 24,
        "bos_token_id": last - 1,
        "eos_token_id": last,
        "pad_token_id": last,
    }
    torch.manual_seed(0)
    vision = small | {"image_size": 32, "patch_size": 8}
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=12)).save_pretrained(folder)
    return folder


def write_open_clip(folder: Path, **pixels: object) -> Path:
    """Write one in the layout of ``open_clip``, which it needs; ``pixels`` is its preprocess_cfg."""
    import open_clip
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    small = {"width": 16, "layers": 2}
    model = {
        "embed_dim": 12,
        "vision_cfg": small | {"image_size": 32, "patch_size": 8, "head_width": 8},
        "text_cfg": small | {"heads": 2, "context_length": 16, "vocab_size": 49408},
    }
    content = {"model_cfg": model, "preprocess_cfg": pixels}
    (folder / "open_clip_config.json").write_text(json.dumps(content))
    torch.manual_seed(0)
    weights = open_clip.create_model(f"local-dir:{folder}").state_dict()
    save_file({name: value.contiguous() for name, value in weights.items()}, folder / "open_clip_model.safetensors")
    return folder
