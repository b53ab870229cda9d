"""What else can say the severities of a stream and learn on the way.

They need the extra `bench`. The one of river is left out where river is not installed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from benchmarks.drifting_streams import Line
from models.text import canonical

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from models.inference import Engine

Ints = npt.NDArray[np.int64]

INFO = 6
"""What is said before anything was learnt."""
BUCKETS = 1 << 16
"""Hashes of words, and as many of characters."""
ALPHA, ETA = 1e-6, 3.0
"""Penalty and rate of SGD. The best of eight pairs on the beginnings of three of the streams."""
ADAGRAD = 0.5
"""Rate of river's logistic regression, which was the best of seven models of river's there."""


class Rival(Protocol):
    """Predicts lines, then learns from them; a new one for each stream."""

    @property
    def name(self) -> str: ...

    @property
    def updates(self) -> int:
        """Steps of gradient descent so far; tables and frozen models take none."""

    def predict(self, lines: Sequence[Line]) -> Ints:
        """(N,) severities of lines whose own is hidden, -1.

        It changes nothing that a later prediction depends on: what is asked may be an exam.
        """

    def learn(self, lines: Sequence[Line]) -> None:
        """Take in lines with their severities, in the stream's order, once each."""


class Majority:
    """What the line's app has sent most; of a new app, what the stream has."""

    name = "majority"
    updates = 0

    def __init__(self) -> None:
        self._stream: Counter[int] = Counter()
        self._apps: defaultdict[str, Counter[int]] = defaultdict(Counter)

    def predict(self, lines: Sequence[Line]) -> Ints:
        return np.array([self.of_app(line.app) for line in lines], np.int64)

    def learn(self, lines: Sequence[Line]) -> None:
        for line in lines:
            self._stream[line.severity] += 1
            self._apps[line.app][line.severity] += 1

    def of_app(self, app: str) -> int:
        return _most(self._apps.get(app) or self._stream)


class Lookup:
    """What the line's Drain3 template has been most; a new template goes with its app.

    Drain3 with its defaults on canonical text, which did better than on raw lines.
    """

    name = "lookup"
    updates = 0

    def __init__(self) -> None:
        from drain3 import TemplateMiner
        from drain3.template_miner_config import TemplateMinerConfig

        self._miner = TemplateMiner(config=TemplateMinerConfig())
        self._clusters: defaultdict[int, Counter[int]] = defaultdict(Counter)
        self._majority = Majority()

    def predict(self, lines: Sequence[Line]) -> Ints:
        drain, said = self._miner.drain, []
        for line in lines:
            tokens = drain.get_content_as_tokens(canonical(line.message))
            # The template that the line would be counted to, without counting it.
            cluster = drain.tree_search(drain.root_node, tokens, drain.sim_th, False)
            known = cluster is not None and self._clusters.get(cluster.cluster_id)
            said.append(_most(known) if known else self._majority.of_app(line.app))
        return np.array(said, np.int64)

    def learn(self, lines: Sequence[Line]) -> None:
        for line in lines:
            cluster = self._miner.add_log_message(canonical(line.message))["cluster_id"]
            self._clusters[cluster][line.severity] += 1
        self._majority.learn(lines)


class Sgd:
    """scikit-learn's logistic regression by SGD, one step a batch, on hashed n-grams.

    Words and pairs of words of app and canonical text; 3 to 5 characters of the text.
    """

    name = "SGD"

    def __init__(self, seed: int) -> None:
        from sklearn.feature_extraction.text import HashingVectorizer
        from sklearn.linear_model import SGDClassifier

        self._words, self._characters = (
            HashingVectorizer(
                analyzer=analyzer,
                ngram_range=ngrams,
                n_features=BUCKETS,
                alternate_sign=False,
                dtype=np.float32,
            )
            for analyzer, ngrams in (("word", (1, 2)), ("char_wb", (3, 5)))
        )
        self._model = SGDClassifier(
            loss="log_loss", alpha=ALPHA, learning_rate="constant", eta0=ETA, random_state=seed
        )
        self.updates = 0

    def predict(self, lines: Sequence[Line]) -> Ints:
        if not self.updates:
            return np.full(len(lines), INFO)
        return np.asarray(self._model.predict(self._features(lines)), np.int64)

    def learn(self, lines: Sequence[Line]) -> None:
        severity = [line.severity for line in lines]
        self._model.partial_fit(self._features(lines), severity, classes=np.arange(8))
        self.updates += 1

    def _features(self, lines: Sequence[Line]) -> csr_matrix:
        """(N, 2 BUCKETS), each half of unit length."""
        from scipy.sparse import hstack

        texts = [canonical(line.message) for line in lines]
        with_app = [f"{line.app} {text}" for line, text in zip(lines, texts, strict=True)]
        halves = self._words.transform(with_app), self._characters.transform(texts)
        return hstack(halves, format="csr")


class River:
    """river's logistic regressions, one against the rest, by AdaGrad, one step a line.

    On words and pairs of words of app and canonical text. Raises ImportError without river.
    """

    name = "river"

    def __init__(self) -> None:
        names = ("feature_extraction", "linear_model", "multiclass", "optim")
        texts, linear, classes, optim = (import_module(f"river.{name}") for name in names)
        words = texts.BagOfWords(
            lowercase=False, strip_accents=False, tokenizer=str.split, ngram_range=(1, 2)
        )
        one = linear.LogisticRegression(
            optimizer=optim.AdaGrad(ADAGRAD), intercept_lr=ADAGRAD / 10
        )
        self._model = words | classes.OneVsRestClassifier(one)
        self.updates = 0

    def predict(self, lines: Sequence[Line]) -> Ints:
        said = [self._model.predict_one(_words(line)) for line in lines]
        return np.array([INFO if one is None else one for one in said], np.int64)

    def learn(self, lines: Sequence[Line]) -> None:
        for line in lines:
            self._model.learn_one(_words(line), line.severity)
        self.updates += len(lines)


class Frozen:
    """The model as it was loaded, with the emission prior."""

    name = "frozen"
    updates = 0

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._log_prior = engine.prior_strength * np.log(engine.emission_prior)
        self._said: dict[tuple[str, str], int] = {}

    def predict(self, lines: Sequence[Line]) -> Ints:
        keys = [(line.app, canonical(line.message)) for line in lines]
        if new := list({key for key in keys if key not in self._said}):
            apps, texts = zip(*new, strict=True)
            scores = self._engine.encode(apps, texts).log_likelihood + self._log_prior
            self._said |= dict(zip(new, scores.argmax(axis=1).tolist(), strict=True))
        return np.array([self._said[key] for key in keys], np.int64)

    def learn(self, lines: Sequence[Line]) -> None:
        pass


def rivals(names: Collection[str], seed: int) -> list[Rival]:
    """New ones of these names, for one stream; river only where it is installed."""
    makers: dict[str, Callable[[], Rival]] = {
        "frozen": lambda: Frozen(_engine()),
        "SGD": lambda: Sgd(seed),
        "lookup": Lookup,
        "majority": Majority,
    }
    if find_spec("river") is not None:
        makers["river"] = River
    return [make() for name, make in makers.items() if name in names]


@cache
def _engine() -> Engine:
    from models.checkpoint import pretrained_path
    from models.inference import Engine

    return Engine.load(pretrained_path())


def _most(counts: Counter[int]) -> int:
    return max(counts, key=lambda level: counts[level], default=INFO)


def _words(line: Line) -> str:
    return f"app={line.app} {canonical(line.message)}"
