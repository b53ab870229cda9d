"""What the stream does beside scoring so that its model follows it: labels out, models in.

After each batch the labelled lines that may teach are told to the learner's process, and drift is
looked for. Between batches a model that the learner has published is taken over. None of it waits:
the learner is fed over a channel that drops, and a model comes in a little at a time.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from pipeline.drift import Drift, DriftEvent
from pipeline.events import FILE as EVENTS
from pipeline.events import Events
from pipeline.feedback import FILE as FEEDBACK
from pipeline.feedback import SEVERITIES, Feedback, Standing
from pipeline.feedback_file import FeedbackError
from pipeline.frames import Frames, places
from pipeline.labels import LabelFilter, parse_policy
from pipeline.learner import Options
from pipeline.lessons import FromLearner, Lesson, Note, Published, Status
from pipeline.quarantine import Quarantine
from pipeline.sender_habits import SenderHabits
from pipeline.snapshots import Snapshots
from pipeline.swap import Swap
from pipeline.tutor import PERSON, Labels, Tutor, labels_of

if TYPE_CHECKING:
    from pipeline.config import Config
    from pipeline.metrics import Metrics
    from pipeline.process import Processor

SWAP_S = 0.02
"""Of each turn of the loop while a model comes in."""
PEOPLE = "feedback"
"""The source of the lessons that people give."""
LOOK_S = 0.5
"""How often feedback and the model in use are looked for on the disk."""
BOOST_S = 600.0
"""How long a drift for the worse lets the learner have more of the CPU."""
VERDICTS = {None: 0, "normal": 1, "anomaly": 2}
"""As in the template table."""

Say = Callable[[str], None]


class StreamLearning:
    """Everything of one stream that learns, or that hears what people say."""

    def __init__(
        self, config: Config, base: Path, processor: Processor, metrics: Metrics, say: Say
    ) -> None:
        """base: the checkpoint that the program starts with. Raises ConfigError and OSError."""
        self._processor, self._metrics, self._say = processor, metrics, say
        assert processor.scorer is not None
        self._scorer = processor.scorer
        self._base = base
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        if config.state_dir is not None:
            self.directory: Path | None = Path(config.state_dir)
        elif config.learn:
            self._temporary = tempfile.TemporaryDirectory(prefix="ltt-stream-")
            self.directory = Path(self._temporary.name)
        else:
            self.directory = None
        self.quarantine = Quarantine()
        self.drift = Drift()
        self.policy = parse_policy(config.learn_from, config.learn_exclude)
        policy = self.policy
        self._scorer.priors.trusts = policy.trusts
        if policy.apps or policy.facilities:
            self._scorer.mistrusts = lambda app, facility: (
                app in policy.apps or facility in policy.facilities
            )
        self.filter = LabelFilter(self.policy, SenderHabits(), self.quarantine)
        self.events = Events(
            None if config.state_dir is None else Path(config.state_dir) / EVENTS, say=say
        )
        self.feedback: Feedback | None = None
        self.tutor: Tutor | None = None
        self._snapshots: Snapshots | None = None
        self._swap: Swap | None = None
        self._in_use: Path | None = None
        self._look_due_s = 0.0
        self._standing: dict[int, Standing] = {}
        self._untold: set[int] = set()
        """Templates whose feedback the learner has not got yet."""
        self._told_to = 0
        """The learner process that has got the rest."""
        if self.directory is not None:
            self._snapshots = Snapshots(self.directory, keep=config.snapshots_kept)
            self._in_use = self._snapshots.current()
            self.feedback = Feedback(self.directory / FEEDBACK)
        if config.learn:
            self.tutor = Tutor(
                Options(
                    fd=-1,
                    state_dir=str(self.directory),
                    model=str(base),
                    budget=config.learn_budget,
                    rate=config.learn_rate,
                    entries=config.replay_entries,
                    buffer_bytes=int(config.replay_mib * (1 << 20)),
                    keep=config.snapshots_kept,
                ),
                say,
            )

    def start(self) -> None:
        """Start the learner; take up what people have said."""
        self._look()
        if self.tutor is not None:
            self.tutor.start()

    def batch(self, frames: Sequence[Frames]) -> None:
        """After each batch: what it teaches, and whether the input has changed."""
        found = self._processor.assessment
        if found is None or not frames:
            return
        trajectories = self._processor.trajectories
        if trajectories is not None and self.tutor is not None:
            trajectories.learn(~found.anomaly)
        table = self._scorer.table
        at_s = frames[-1].received_us / 1e6
        labelled = found.scored & (found.declared >= 0)
        if self.tutor is not None:
            flagged = table.template_id[found.rows[found.anomaly]]
            self.tutor.forget(self.quarantine.add(flagged, at_s).tolist())
            may = labelled & ~found.anomaly
            for source, lines in places(found.sources).items():
                at = lines[may[lines]]
                self._teach(self.tutor, source, labels_of(found.rows[at], found.declared[at]))
        events = self.drift.observe(
            error=found.predicted.severity[labelled] != found.declared[labelled],
            surprise=found.surprise[found.scored],
            new=found.first[found.scored],
            at_s=at_s,
        )
        for event in events:
            self._drifted(event)

    def _teach(self, tutor: Tutor, source: str, labels: Labels) -> None:
        table = self._scorer.table
        row = labels.row
        apps = [table.texts[i][0] for i in row.tolist()]
        may = self.filter.admit(
            source,
            apps,
            table.template_id[row],
            table.facility[row],
            labels.severity,
            labels.lines,
        )
        tutor.teach(source, Labels(*(column[may] for column in labels)), table)

    def tick(self) -> None:
        """Between two batches."""
        if self.tutor is not None:
            for message in self.tutor.poll():
                self._hear(message)
            self._count(self.tutor)
        if time.monotonic() >= self._look_due_s:
            self._look_due_s = time.monotonic() + LOOK_S
            self._look()
            if self.tutor is not None:
                self._tell(self.tutor)
                self._mistrust(self.tutor)
            self.quarantine.expire(time.time())
        if self._swap is not None:
            self._advance(self._swap)

    @property
    def busy(self) -> bool:
        """Whether a model is on its way in: the loop should not rest long."""
        return self._swap is not None

    def kept(self) -> dict[str, npt.NDArray[Any]]:
        """What is to be saved with the stream's state."""
        return {
            **self.quarantine.kept(),
            **self.filter.habits.kept(),
            **self.drift.kept(),
        }

    def restore(self, kept: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from what `kept` gave; what is not whole is left out, and said."""
        same_model = str(kept.get("model")) == self._scorer.model_version
        for part, name, restore in (
            ("quarantine", "quarantine_ids", self.quarantine.restore),
            ("sender habits", "sender_habits", self.filter.habits.restore),
            ("drift", "drift_seen", partial(self.drift.restore, same_model=same_model)),
        ):
            if name not in kept:
                continue
            try:
                restore(kept)
            except (KeyError, ValueError) as error:
                self._say(f"state: {part} is damaged ({error}); it begins anew")

    def close(self) -> None:
        """At the end of the stream."""
        if self.tutor is not None:
            self.tutor.stop()
        if self._temporary is not None:
            self._temporary.cleanup()

    def _hear(self, message: FromLearner) -> None:
        metrics = self._metrics
        match message:
            case Note(text):
                self._say(text)
            case Published(version, path, at_s):
                metrics.last_snapshot_timestamp_seconds.set(at_s)
                self.events.write("snapshot", version=version)
                self._take(Path(path))
            case Status():
                metrics.replay_buffer_entries.set(message.entries)
                metrics.advance(metrics.learner_updates_total, message.updates)
                metrics.advance(metrics.gate_rejections_total, message.rejected)
                metrics.advance(metrics.snapshot_failures_total, message.failed)
                metrics.advance(metrics.dropped_lessons_total, message.dropped, "learner")
                for reason, entries in message.dropped_entries.items():
                    metrics.advance(metrics.replay_dropped_entries_total, entries, reason)
                if message.accuracy is not None:
                    metrics.learner_holdout_accuracy.set(message.accuracy)

    def _count(self, tutor: Tutor) -> None:
        metrics = self._metrics
        metrics.advance(metrics.learner_starts_total, tutor.starts)
        metrics.advance(metrics.lessons_total, tutor.told)
        metrics.advance(metrics.dropped_lessons_total, tutor.dropped, "channel")
        metrics.quarantined_templates.set(len(self.quarantine))
        metrics.advance(
            metrics.quarantine_crowded_out_templates_total, self.quarantine.crowded_out
        )
        for reason, lines in self.filter.withheld.items():
            metrics.advance(metrics.withheld_labels_total, lines, reason)

    def _take(self, path: Path) -> None:
        """Let this model take over; one that is still on its way in is given up."""
        self._in_use = path
        self._swap = Swap(path, self._scorer)

    def _advance(self, swap: Swap) -> None:
        if swap.error is not None:
            self._swap = None
            self._say(
                f"{swap.path}: not taken over: {swap.error}; {self._scorer.model_version} goes on"
            )
        elif swap.advance(SWAP_S):
            self._swap = None
            self.drift.change_model()
            version = self._scorer.model_version
            self._metrics.set_model(version, self._scorer.engine.dtype)
            self._metrics.add(self._metrics.model_swaps_total, 1)
            self.events.write("model", version=version)

    def _look(self) -> None:
        """What has changed on the disk: feedback, and the model in use (a rollback)."""
        if self._snapshots is not None:
            current = self._snapshots.current()
            if current != self._in_use:
                self._take(current or self._base)
                self._in_use = current
                if self.tutor is not None:
                    self.tutor.begin(current or self._base)
                self._say(f"model: going over to {current or self._base}")
        if self.feedback is not None and self.feedback.changed():
            try:
                self.feedback.refresh()
            except FeedbackError as error:
                self._say(str(error))
                return
            self._obey(self.feedback.standing())

    def _obey(self, standing: dict[int, Standing]) -> None:
        """What people say holds for the templates, and teaches."""
        self._scorer.take_feedback(
            {
                template: (
                    -1 if said.severity is None else said.severity,
                    VERDICTS[said.verdict],
                )
                for template, said in standing.items()
            }
        )
        self._metrics.feedback_templates.set(len(standing))
        self.quarantine.heed(standing)
        self._standing = standing
        self._untold = set(standing)

    def _tell(self, tutor: Tutor) -> None:
        """Teach what people say, until the learner has it: after its death, once more."""
        if tutor.starts != self._told_to:
            self._told_to, self._untold = tutor.starts, set(self._standing)
        if not self.policy.heeds_people():
            return
        for template in list(self._untold):
            said = self._standing[template]
            app, text = said.app, said.text
            if said.severity is not None and text is None:
                row = self._scorer.row_of(template)
                if row is None:
                    continue  # only its id was given: it may come
                app, text = self._scorer.table.texts[row]
            if said.severity is not None and text is not None:
                facility = -1 if said.facility is None else said.facility
                lesson = Lesson(
                    template, app or "", text, facility, PEOPLE, said.severity, PERSON, 1
                )
                if not tutor.tell(lesson):
                    return
            self._untold.discard(template)

    def _mistrust(self, tutor: Tutor) -> None:
        """Say which senders mark everything the same; what they taught is forgotten."""
        found = self.filter.habits.found
        while found:
            sender = found.popleft()
            who = sender.source if sender.app is None else f"{sender.app} of {sender.source}"
            self._say(
                f"learning: {who} marks everything {SEVERITIES[sender.severity]}: its severities "
                "teach nothing until it says another"
            )
            tutor.forget(list(sender.templates))

    def _drifted(self, event: DriftEvent) -> None:
        self._metrics.add(self._metrics.drift_events_total, 1)
        self.events.write("drift", **event._asdict())
        self._say(
            f"drift: {event.kind} went from {event.before:.3g} to {event.after:.3g} "
            f"over the last {event.lines:,} lines"
        )
        if event.worse and self.tutor is not None:
            self.tutor.boost(BOOST_S)
