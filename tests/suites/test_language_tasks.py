"""The tasks of mini-language: sound items, disjoint splits, arrays as the contract says."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from taskmark.errors import TaskmarkError
from taskmark.suites.mini_language import generated_tasks as tasks
from taskmark.suites.mini_language.alphabet import ANSWER, CHARACTERS, PADDING, encode, padded
from taskmark.suites.mini_language.pretraining.lines import lines
from taskmark.suites.mini_language.text_items import SPLITS, TextItem, task_data

each_task = pytest.mark.parametrize("name", tasks.TASKS)


def text_of(row):
    return "".join(CHARACTERS[token - 1] for token in row if token != PADDING)


@each_task
def test_no_prompt_occurs_twice_and_sizes_are_as_stated(name):
    items = tasks.items(name)
    assert {split: len(own) for split, own in items.items()} == tasks.SIZES
    prompts = [item.prompt for own in items.values() for item in own]
    assert len(set(prompts)) == len(prompts)


@each_task
def test_arrays_hold_the_lines_of_the_items(name):
    data = tasks.load(name)
    for split in SPLITS:
        arrays, items = getattr(data, split), tasks.items(name)[split]
        for item, row, label in zip(items, arrays.images, arrays.labels, strict=True):
            if item.options:
                tokens, places, owners = row
                parts = [tokens[owners == k] for k in range(len(item.options) + 1)]
                assert [text_of(part) for part in parts] == list(item.parts)
                assert (tokens[owners == -1] == PADDING).all()
                for k in range(1, len(parts)):
                    own = places[(owners == 0) | (owners == k)]
                    assert own.tolist() == list(range(len(item.prompt + item.parts[k])))
                assert item.options[label] == item.answer
            else:
                assert text_of(row) == item.prompt + item.answer + "\n"
                assert text_of(label[label != -100]) == item.answer + "\n"


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("reverse abcd=", "dcba"),
        ("sort 4021=", "0124"),
        ("add 37+58=", "95"),
        ("code xyz=", "yza"),
        ("close ([]{=", "})"),
    ],
)
def test_answers_are_right(prompt, answer):
    """By other means than the generator's, on every item of the kind and on a known one."""
    kind = prompt.partition(" ")[0]
    solve = {
        "reverse": lambda body: "".join(reversed(body)),
        "sort": lambda body: "".join(map(str, sorted(map(int, body)))),
        "add": lambda body: str(sum(map(int, body.split("+")))),
        "code": lambda body: "".join(chr((ord(c) - 96) % 26 + 97) for c in body),
        "close": close,
    }[kind]
    assert solve(prompt.partition(" ")[2].rstrip("=")) == answer
    for item in tasks.items(kind)["test"]:
        assert solve(item.prompt.partition(" ")[2].rstrip("=")) == item.answer


def close(brackets):
    pair = {"(": ")", "[": "]", "{": "}"}
    is_open = []
    for bracket in brackets:
        if bracket in pair:
            is_open.append(pair[bracket])
        else:
            assert is_open.pop() == bracket
    return "".join(reversed(is_open))


@each_task
def test_answers_that_are_chosen_are_spread_over_the_options(name):
    data = tasks.load(name)
    if data.test.labels.ndim == 1:
        share = np.bincount(data.test.labels) / len(data.test.labels)
        assert share.max() < 0.65


def test_prompts_are_lines_without_their_answers():
    for name in tasks.TASKS:
        split = tasks.load(name).test
        if split.prompts is None:
            assert split.labels.ndim == 1
            continue
        for item, row in zip(tasks.items(name)["test"], split.prompts, strict=True):
            assert text_of(row) == item.prompt
            assert (row[len(item.prompt) :] == PADDING).all()


def test_options_of_which_one_begins_another_are_refused():
    item = TextItem("say x=", "run", ("run", "runs"))
    with pytest.raises(TaskmarkError, match="'run' and 'runs', of which one begins the other"):
        task_data("say", dict.fromkeys(SPLITS[:1], (item,)))


def test_a_prompt_in_two_splits_is_refused():
    item = TextItem("add 1+1=", "2")
    with pytest.raises(TaskmarkError, match=r"'add 1\+1=' .* is in train and in validation"):
        task_data("add", dict.fromkeys(SPLITS, (item,)))


def test_a_prompt_without_its_end_is_refused():
    with pytest.raises(TaskmarkError, match=f"must end with '{ANSWER}'"):
        task_data("add", {split: (TextItem(f"add {split}", "2"),) for split in SPLITS})


def test_an_answer_that_is_no_option_is_refused():
    with pytest.raises(TaskmarkError, match="the answer 'c', which is no option"):
        task_data("add", {"train": (TextItem("x=", "c", ("a", "b")),)})


def test_a_character_that_is_no_token_is_named():
    with pytest.raises(ValueError, match="'!' of 'a!' is no token"):
        encode("a!")
    assert padded(["a", "ab"], 3).tolist() == [[4, 0, 0], [4, 5, 0]]


def test_pre_training_sees_no_prompt_of_validation_or_test():
    held_out = {
        item.prompt
        for name in tasks.TASKS
        for split in ("validation", "test")
        for item in tasks.items(name)[split]
    }
    for step in range(40):
        for line in lines(step, 128, hard=1.0):
            assert line.partition(ANSWER)[0] + ANSWER not in held_out


def test_lines_depend_on_the_step_alone_and_differ_between_steps():
    assert lines(3, 20, hard=0.1) == lines(3, 20, hard=0.1)
    assert all(
        first != second for first, second in pairwise(lines(s, 20, hard=0) for s in (1, 2, 3))
    )
    everything = [line for step in range(20) for line in lines(step, 100, hard=0)]
    share = sum(ANSWER not in line for line in everything) / len(everything)
    assert abs(share - 0.25) < 0.05
    assert all(line.endswith("\n") and line.count("\n") == 1 for line in everything)
