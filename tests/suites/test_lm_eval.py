# ruff: noqa: PLC0415, S106 - the libraries may not be here; tokens are no passwords
"""Answers are those of EleutherAI's lm_eval, item by item, on the same model and the same tasks."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version

import pytest
import torch

from taskmark.inference.items import Items
from taskmark.suites.mini_language import generated_tasks as tasks
from taskmark.suites.mini_language import provider
from taskmark.suites.mini_language.alphabet import CHARACTERS, END, PADDING

PINNED = "0.4.13"  # its prompts and scores change with its versions
N_ITEMS = 60


def _version_of_lm_eval() -> str:
    try:
        return version("lm_eval")
    except PackageNotFoundError:
        return "none"


pytestmark = [
    pytest.mark.skipif(
        _version_of_lm_eval() != PINNED,
        reason=f"needs lm_eval {PINNED}, and {_version_of_lm_eval()} is installed; "
        f"run `pip install 'lm_eval[hf]=={PINNED}'`",
    ),
    pytest.mark.filterwarnings("ignore"),  # other libraries' own
]


def character_tokenizer():
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {"<pad>": PADDING} | {c: k for k, c in enumerate(CHARACTERS, start=1)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token=END,
        clean_up_tokenization_spaces=False,
    )


def write_task(folder, task):
    """One task file of lm_eval with its items."""
    items = tasks.items(task)["test"][:N_ITEMS]
    docs = [
        {
            "prompt": item.prompt,
            "answer": item.answer,
            "options": [option + END for option in item.options],
            "label": item.options.index(item.answer) if item.options else 0,
        }
        for item in items
    ]
    (folder / f"{task}.jsonl").write_text("".join(json.dumps(doc) + "\n" for doc in docs))
    kind = (
        {
            "output_type": "multiple_choice",
            "doc_to_choice": "options",
            "doc_to_target": "label",
            "metric_list": [{"metric": "acc"}],
        }
        if items[0].options
        else {
            "output_type": "generate_until",
            "doc_to_target": "{{answer}}",
            "generation_kwargs": {"until": [END], "do_sample": False, "max_gen_toks": 20},
            "metric_list": [{"metric": "exact_match"}],
        }
    )
    files = {"test": str(folder / f"{task}.jsonl")}
    told = {
        "task": f"small_{task}",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": files, "cache_dir": str(folder / "cache")},
        "test_split": "test",
        "doc_to_text": "{{prompt}}",
        "target_delimiter": "",
        **kind,
    }
    (folder / f"{task}.yaml").write_text(json.dumps(told))  # JSON is YAML


def test_every_item_of_every_task_is_right_in_both_or_in_neither(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    model = provider.backbone("middle")[1]
    for task in tasks.TASKS:
        write_task(tmp_path, task)
    found = lm_eval.simple_evaluate(
        HFLM(pretrained=model.llama, tokenizer=character_tokenizer(), batch_size=N_ITEMS),
        tasks=[f"small_{task}" for task in tasks.TASKS],
        task_manager=TaskManager(include_path=str(tmp_path), include_defaults=False),
        log_samples=True,
        bootstrap_iters=0,
    )
    n_right = {}
    for task in tasks.TASKS:
        samples = sorted(found["samples"][f"small_{task}"], key=lambda sample: sample["doc_id"])
        theirs = [bool(sample.get("acc", sample.get("exact_match"))) for sample in samples]
        test = tasks.load(task).test
        items = Items(
            provider.head("middle", task),
            torch.from_numpy(test.images[:N_ITEMS]),
            torch.from_numpy(test.labels[:N_ITEMS]),
        )
        with torch.no_grad():
            ours = items.correct(items.answers(model(items.inputs), "cpu")).tolist()
        assert ours == theirs, task
        n_right[task] = sum(ours)
    # Neither all right nor all wrong, or else the agreement says nothing.
    assert 0 < sum(n_right.values()) < N_ITEMS * len(tasks.TASKS)
    assert sum(0 < n < N_ITEMS for n in n_right.values()) > len(tasks.TASKS) / 2
