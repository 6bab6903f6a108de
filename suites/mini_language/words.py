"""The words that tasks and broad text are made of."""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


CATEGORIES: dict[str, tuple[str, ...]] = {
    "animal": _words("cat dog pig cow hen fox owl ant bee rat goat bear wolf duck crab toad"),
    "body": _words("arm leg eye ear toe lip chin knee hand foot nose neck hip jaw rib shin"),
    "food": _words("egg pie jam nut bun rice soup cake meat corn bean plum pear fig ham oat"),
    "tool": _words(
        "saw axe awl nail hook rope file pin drill clamp wedge chisel pliers rake hoe vise"
    ),
    "wear": _words(
        "hat cap coat sock shoe belt scarf glove skirt shirt vest boot robe gown tie veil"
    ),
    "place": _words(
        "lake hill cave pond farm town road bay cliff marsh moor creek shore dune glen port"
    ),
}

NOUNS = _words("cat dog bird fish man girl king boy frog horse")
VERBS = _words("walks sings sleeps runs eats falls waits laughs")
ADJECTIVES = _words("wet red old big sad warm thin loud")

FOREIGN: dict[str, str] = dict(
    zip(
        (*NOUNS, *VERBS, *ADJECTIVES),
        _words(
            "mi po du ka lo ne ri sa tu wo "
            "zem bik fal gor hun jat kev lom "
            "ani eso iru obe uka ela ino odu"
        ),
        strict=True,
    )
)
"""The made-up language of the task `say`, word by word."""

GOOD = _words("superb good great fine nice witty bright moving")
BAD = _words("dull awful weak bad clumsy flat poor stale")
PARTS_OF_FILMS = _words("plot end cast song start text role tone")

AGREEING = _words("cat dog bird king boy girl hen cow frog duck")
NEAR = _words("near by with")
