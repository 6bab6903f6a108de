"""What the numbers mean, in the words of the code that makes them."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass

from taskmark.records.disentanglement_record import DisentanglementRecord
from taskmark.records.record import CountedCost, Trial
from taskmark.statistics import intervals as statistics

_ACCURACY = (
    "Share of test images classified correctly: per task, and its mean over tasks. "
    "Test images are read once, after every choice has been made."
)
_ONE_RULER = (
    "The expert is the standard one of the same task, split and seed, for every row of a board: "
    "one ruler. Papers divide by the experts of a method's own recipe, and a method with weaker "
    "experts then looks better. On `mini`, backbone `supervised`, `post_hoc_linearisation` reaches "
    "95.3 % of its own experts, which are read in the linearised model, and `atlas` 92.8 % of the "
    "standard ones; but 81.8 % of all test images against 83.5 %. By the standard experts it has "
    "90.9 %, in tier 3. The figure by the own recipe is the column “Own recipe”; it never ranks."
)
_OTHER_RULER = (
    "Where only experts of another recipe were brought along, these are the ruler of the board, "
    "which says so. The search of scales has the objective of the suite's protocol: the share of "
    "the own experts on validation."
)
_RANK = (
    "A rank is the number of a tier; the figures of a backbone compare every two methods. "
    "Reference rows, and rows that failed, were skipped or are incomplete, are never ranked."
)
_VALIDATION = (
    "The scale of the merged task vector, with the same number of trials for every method; "
    "methods that learn choose the rest there too."
)
_PROCESSORS = (
    "Libraries of another processor round otherwise, which turns the answer on a few images. On "
    "the suite `mini`, all methods on an AMD and on an Intel processor, 39 % of 1,176 accuracies "
    "differ in one image or more, and none of the 147 rows by half a point (0.47 at most)."
)


@dataclass(frozen=True, slots=True)
class Definition:
    """A term of the page and the paragraphs that define it."""

    term: str
    paragraphs: tuple[str, ...]


CLAIMS = {
    "claimed": "submitted with records, and run by nobody else yet",
    "reproduced": "whoever ran it again last found the same",
    "disputed": "whoever ran it again last found otherwise",
}
"""What the state of a submission says; a row without one was measured by whoever made the page."""

TRACKS = {
    "weights": "nothing but the weights: the pre-trained model and the task vectors",
    "unlabelled": "also images of the train and validation splits, without their labels",
    "labelled": "also the labels of these images",
}
"""What a method of each track may touch; none may touch test images."""

RECIPES = {
    "standard": "experts tuned and read as the model itself",
    "tangent": "experts tuned and read in the model linearised at the pre-trained weights",
    "post_hoc": "experts tuned as the model itself, read in the linearised model",
}
"""How the experts of each recipe are tuned, and how edited weights are read."""


def definitions() -> tuple[Definition, ...]:
    """Return the definitions under the board; most are docstrings of the code itself."""
    return (
        Definition("Accuracy", (_ACCURACY,)),
        Definition(
            "Normalised accuracy",
            (*paragraphs(statistics.normalised_accuracy), _ONE_RULER, _OTHER_RULER),
        ),
        Definition(
            "Intervals",
            (
                *paragraphs(statistics.score_intervals),
                *paragraphs(statistics.seed_intervals),
                "The interval of one task and seed is Wilson's.",
            ),
        ),
        Definition(
            "Rank",
            (
                _RANK,
                *paragraphs(statistics.rank_groups),
            ),
        ),
        Definition("Other processors", (_PROCESSORS,)),
        Definition(
            "Chosen on validation",
            (
                _VALIDATION,
                *paragraphs(Trial),
            ),
        ),
        Definition("Weight-disentanglement error ξ", paragraphs(DisentanglementRecord)),
        Definition("Tracks", tuple(f"`{name}`: {meaning}." for name, meaning in TRACKS.items())),
        Definition("Submissions", tuple(f"`{name}`: {text}." for name, text in CLAIMS.items())),
        Definition("Recipes", tuple(f"`{name}`: {meaning}." for name, meaning in RECIPES.items())),
        Definition(
            "Cost",
            (
                *(
                    f"`{name}`: {meaning}."
                    for name, meaning in _attributes(CountedCost).items()
                    if name in {"trials", "gradient_images", "extra_parameters"}
                ),
                "`edit seconds`: wall clock of the method itself, on the machine of the record.",
            ),
        ),
    )


def paragraphs(documented: object) -> tuple[str, ...]:
    """Return the paragraphs of a docstring, without its sections of arguments and results."""
    text = inspect.getdoc(documented) or ""
    body = re.split(r"\n\n(?:Args|Returns|Raises|Attributes):\n", text)[0]
    return tuple(" ".join(paragraph.split()) for paragraph in body.split("\n\n") if paragraph)


def _attributes(documented: object) -> dict[str, str]:
    """Read the section of attributes of a docstring, name -> meaning."""
    text = (inspect.getdoc(documented) or "").partition("Attributes:\n")[2]
    found = re.findall(r"^ {4}(\w+): (.*?)(?=^ {4}\w|\Z)", text, flags=re.MULTILINE | re.DOTALL)
    return {name: " ".join(meaning.split()).rstrip(".") for name, meaning in found}
