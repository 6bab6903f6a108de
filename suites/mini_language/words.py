"""The words that tasks and broad text are made of."""

from __future__ import annotations

CATEGORIES: dict[str, tuple[str, ...]] = {
    "animal": tuple("cat dog pig cow hen fox owl ant bee rat goat bear wolf duck crab toad".split()),
    "body": tuple("arm leg eye ear toe lip chin knee hand foot nose neck hip jaw rib shin".split()),
    "food": tuple("egg pie jam nut bun rice soup cake meat corn bean plum pear fig ham oat".split()),
    "tool": tuple("saw axe awl nail hook rope file pin drill clamp wedge chisel pliers rake hoe vise".split()),
    "wear": tuple("hat cap coat sock shoe belt scarf glove skirt shirt vest boot robe gown tie veil".split()),
    "place": tuple("lake hill cave pond farm town road bay cliff marsh moor creek shore dune glen port".split()),
}

NOUNS = tuple("cat dog bird fish man girl king boy frog horse".split())
VERBS = tuple("walks sings sleeps runs eats falls waits laughs".split())
ADJECTIVES = tuple("wet red old big sad warm thin loud".split())

FOREIGN: dict[str, str] = dict(
    zip(
        (*NOUNS, *VERBS, *ADJECTIVES),
        (
            "mi po du ka lo ne ri sa tu wo "
            "zem bik fal gor hun jat kev lom "
            "ani eso iru obe uka ela ino odu"
        ).split(),
        strict=True,
    )
)
"""The made-up language of the task `say`, word by word."""

GOOD = tuple("superb good great fine nice witty bright moving".split())
BAD = tuple("dull awful weak bad clumsy flat poor stale".split())
PARTS_OF_FILMS = tuple("plot end cast song start text role tone".split())

AGREEING = tuple("cat dog bird king boy girl hen cow frog duck".split())
NEAR = tuple("near by with".split())
