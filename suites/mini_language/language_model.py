"""The suite's network: a small Llama of transformers, that reads lines and scores their answers.

Lines [B, L] -> logits of the next token [B, L, V], for exact answers.
Prompts with all options [B, 3, L] -> log-likelihood of each option given the prompt [B, K].
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from safetensors.torch import load as parse_safetensors
from torch import Tensor, nn
from torch.nn import functional

from taskmark.errors import TaskmarkError
from taskmark.suites.mini_language.alphabet import N_TOKENS, PADDING

if TYPE_CHECKING:
    from collections.abc import Mapping

WEIGHTS = Path(__file__).parent / "weights"
BACKBONES = ("open", "middle", "random")
"""What is shipped."""

CONFIG: dict[str, Any] = {
    "vocab_size": N_TOKENS,
    "hidden_size": 96,
    "num_hidden_layers": 3,
    "intermediate_size": 256,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 96,
    "tie_word_embeddings": True,
    "pad_token_id": PADDING,
    "bos_token_id": None,
    "eos_token_id": 1,  # the newline
    "use_cache": False,
    "attn_implementation": "sdpa",
}

_OPTIONS_NDIM = 3  # [B, 3, L]


class LanguageModel(nn.Module):
    """The encoder that is edited: all its parameters are those of the Llama."""

    def __init__(self) -> None:
        super().__init__()
        self.llama = make_llama()

    def forward(self, lines: Tensor) -> Tensor:
        """Lines [B, L] to logits [B, L, V]; prompts with options [B, 3, L] to scores [B, K].

        Padding is on the right, where a causal model does not see it. See `text_items.task_data`.
        """
        if lines.ndim == _OPTIONS_NDIM:
            tokens, places, owners = lines.unbind(1)
            logits = self.llama(
                input_ids=tokens, position_ids=places, attention_mask=sees(places, owners)[:, None]
            ).logits
            return option_scores(logits, tokens, owners)
        return cast("Tensor", self.llama(input_ids=lines).logits)


def sees(places: Tensor, owners: Tensor) -> Tensor:
    """Which token sees which: those before it of the prompt and of its own option.

    Args:
        places: of each token in its own line, [B, L].
        owners: which option it is of, 0 for the prompt and -1 for padding, [B, L].

    Returns:
        [B, L, L], bool: the second axis sees the third.
    """
    shares = (owners[:, None] == 0) | (owners[:, None] == owners[..., None])
    return shares & (places[:, None] <= places[..., None])


def option_scores(logits: Tensor, tokens: Tensor, owners: Tensor) -> Tensor:
    """The log-likelihood of each option given the prompt, its end counted.

    Args:
        logits: of the next token, [B, L, V].
        tokens: [B, L].
        owners: which option each token is of, 0 for the prompt and -1 for padding, [B, L].

    Returns:
        [B, K].
    """
    n_options = int(owners.max())
    prompt_end = (owners == 0).sum(1, keepdim=True) - 1  # [B, 1]
    before = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens) - 1
    is_first = owners != owners.roll(1, dims=1)
    before = torch.where(is_first, prompt_end, before).clamp_min(0)  # whose logits tell the token
    log_p = functional.log_softmax(logits, dim=-1)
    following = log_p.gather(1, before[..., None].expand_as(log_p))
    own = following.gather(2, tokens[..., None])[..., 0]  # [B, L]
    return torch.stack([(own * (owners == k)).sum(1) for k in range(1, n_options + 1)], dim=1)


def make_llama(seed: int = 0) -> Any:
    """A freshly initialised `LlamaForCausalLM` in evaluation mode.

    Args:
        seed: fixes every weight; the global random state is left alone.

    Raises:
        TaskmarkError: if transformers is not installed.
    """
    try:
        from transformers import LlamaConfig, LlamaForCausalLM  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise without_transformers() from error
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(LlamaConfig(**CONFIG)).eval()


def without_transformers() -> TaskmarkError:
    """The error of a machine without transformers."""
    return TaskmarkError(
        "The suite mini-language needs transformers, which is not installed; run "
        "`pip install 'taskmark[language]'`."
    )


def load(name: str) -> LanguageModel:
    """A shipped backbone in evaluation mode.

    Raises:
        TaskmarkError: if there is none of the name, its file is not the one whose hash is shipped,
            or transformers is not installed.
    """
    model = LanguageModel()
    model.llama.load_state_dict(read_weights(name), strict=False)
    return model.eval()


def read_weights(name: str) -> Mapping[str, Tensor]:
    """A backbone's tensors as shipped, by the names that transformers has, their SHA-256 checked.

    Raises:
        TaskmarkError: if there is none of the name, or its file is not the one that was shipped.
    """
    frozen = frozen_hashes()
    if name not in frozen:
        raise TaskmarkError(
            f"There is no backbone {name!r} in the suite mini-language; "
            f"choose one of {', '.join(sorted(frozen))}."
        )
    path = WEIGHTS / f"{name}.safetensors"
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != frozen[name]:
        raise TaskmarkError(
            f"The weights {path} have the hash {found[:12]}, but {frozen[name][:12]} was shipped; "
            "reinstall taskmark."
        )
    return parse_safetensors(content)


def frozen_hashes() -> dict[str, str]:
    """SHA-256 of each shipped file of weights, by backbone."""
    hashes: dict[str, str] = json.loads((WEIGHTS / "hashes.json").read_text("utf-8"))
    return hashes
