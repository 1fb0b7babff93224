"""The loop with a real ledger; executors and outbox answer at once, or when the test says so."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.fakes import (
    Clock,
    FixedInboxes,
    Inline,
    InlineDelivery,
    Manual,
    MemorySpool,
    echo,
    heard,
    preparation,
    recognizing,
    source,
)
from tests.support.patience import patient
from transcribed.core import errors, events
from transcribed.core.events import Settled
from transcribed.core.mailbox import Mailbox
from transcribed.core.types import Failure, Hypothesis, State, Transcript, Word
from transcribed.pipeline.pipeline import Pipeline
from transcribed.pipeline.scheduling.admission import Admission, BatchLimits
from transcribed.pipeline.scheduling.batcher import Batcher
from transcribed.pipeline.scheduling.dispatcher import Dispatcher
from transcribed.state.ledger import Ledger


class World:
    def __init__(
        self,
        tmp_path,
        lengths=(2.0, 3.0),
        recognizer=None,
        preparer=None,
        deliver=None,
        ledger=None,
        priorities=None,
        max_active=64,
    ):
        self.clock, self.mailbox = Clock(), Mailbox()
        self.delivered, self.tidied = [], []
        self.recognizer = recognizer or Inline(recognizing(echo))
        self.preparer = preparer or Inline(lambda job: preparation(job.id, *lengths), slots=99)
        self.ledger = ledger or Ledger(tmp_path / "ledger.db")
        self.inboxes, self.spool = FixedInboxes(priorities), MemorySpool()
        self.delivery = InlineDelivery(
            deliver or self.delivered.append, lambda job: self.tidied.append(job.source.name)
        )
        batcher = Batcher(max_segments=16)
        self.pipeline = Pipeline(
            mailbox=self.mailbox,
            ledger=self.ledger,
            inboxes=self.inboxes,
            delivery=self.delivery,
            spool=self.spool,
            preparer=self.preparer,
            batcher=batcher,
            dispatcher=Dispatcher(
                self.mailbox, batcher, Admission(BatchLimits(600)), self.recognizer, monotonic=self.clock
            ),
            max_active=max_active,
            clock=self.clock,
            monotonic=self.clock,
        )

    def drop(self, *names):
        for name in names:
            self.mailbox.put(Settled(source(name)))

    def run(self, steps=40):
        for _ in range(steps):
            self.pipeline.step(seconds=0)

    @property
    def batches(self):
        return [request.batch for request in self.recognizer.requests]

    def texts(self):
        return {t.job.source.name: t.text for t in self.delivered if isinstance(t, Transcript)}


def fails_if(condition, error):
    def work(batch):
        if condition(batch):
            raise error
        return echo(batch)

    return Inline(recognizing(work))


def test_a_file_becomes_a_transcript_and_is_recorded_then_tidied(tmp_path):
    world = World(tmp_path)
    world.drop("a.wav")
    world.run()
    assert world.texts() == {"a.wav": "1/0\n1/1"}
    assert world.ledger.counts() == {State.DONE: 1}
    assert world.tidied == ["a.wav"]
    assert world.ledger.pending_cleanup() == []


def test_the_same_version_seen_twice_is_done_once(tmp_path):
    world = World(tmp_path)
    for _ in range(3):
        world.drop("a.wav")
        world.run()
    assert len(world.delivered) == 1


def test_a_recording_without_speech_is_done_without_a_recognizer(tmp_path):
    world = World(tmp_path, lengths=())
    world.drop("a.wav")
    world.run()
    assert world.texts() == {"a.wav": ""}
    assert world.recognizer.requests == []


def test_segments_of_different_files_share_a_batch(tmp_path):
    world = World(tmp_path, recognizer=Manual())
    world.drop(*"abcde")
    world.run()
    assert {s.job_id for s in world.batches[0].segments} == {1, 2, 3, 4, 5}


def test_answers_are_matched_by_identity_whatever_their_order(tmp_path):
    recognizer = Manual(slots=9)
    world = World(tmp_path, recognizer=recognizer)
    world.pipeline.batcher.max_segments = 1
    world.drop("a", "b", "c")
    world.run()
    for request, future in reversed(list(zip(recognizer.requests, recognizer.futures, strict=True))):
        future.set_result(echo(request.batch))
    world.run()
    assert world.texts() == {"a": "1/0\n1/1", "b": "2/0\n2/1", "c": "3/0\n3/1"}


def test_too_few_answers_stop_the_loop_rather_than_shift_words(tmp_path):
    world = World(tmp_path, recognizer=Inline(recognizing(lambda batch: heard(*echo(batch).hypotheses[:-1]))))
    world.drop("a")
    with pytest.raises(ValueError, match="zip"):
        world.run()
    assert world.delivered == []


# --- blame -------------------------------------------------------------------------------------------


def test_one_poisonous_segment_fails_its_own_file_only(tmp_path):
    world = World(
        tmp_path, recognizer=fails_if(lambda b: any(s.job_id == 2 for s in b.segments), errors.WorkerLost("died"))
    )
    world.drop(*"abcdefgh")
    for _ in range(3):
        world.run(100)
        world.clock.now += 100
    assert world.ledger.counts() == {State.DONE: 7, State.FAILED: 1}
    (failure,) = [outcome for outcome in world.delivered if isinstance(outcome, Failure)]
    assert failure.job.source.name == "b"
    assert "3 times" in failure.reason


def test_out_of_memory_shrinks_the_batches_and_blames_nobody(tmp_path):
    world = World(tmp_path, recognizer=fails_if(lambda b: b.padded_seconds > 6, errors.OutOfMemory("no room")))
    world.drop(*"abcdefgh")
    world.run(100)
    assert world.ledger.counts() == {State.DONE: 8}
    assert all(job.failures == 0 for job in world.ledger.with_state(State.DONE))


def test_a_single_segment_without_memory_waits_for_it_and_blames_nobody(tmp_path):
    short = [True]
    world = World(tmp_path, lengths=(30.0,), recognizer=fails_if(lambda b: short, errors.OutOfMemory("no room")))
    world.drop("a")
    for _ in range(20):
        world.run(10)
        world.clock.now += 120
    assert world.ledger.counts() == {State.ACTIVE: 1}
    assert 2 < len(world.batches) < 20
    short.clear()
    world.clock.now += 600
    world.run()
    assert world.texts() == {"a": "1/0"}
    assert world.ledger.find(Path("/inbox/a"))[0].failures == 0


@pytest.mark.parametrize(
    "error", [errors.Unavailable("not begun"), errors.DeviceFaulty("The canary is not recognized.")]
)
def test_what_was_not_begun_or_met_a_broken_device_is_redone_whole(tmp_path, error):
    broken = [True]
    world = World(tmp_path, lengths=(2.0, 2.0), recognizer=fails_if(lambda b: broken, error))
    world.drop("a")
    for _ in range(10):
        world.run(10)
        world.clock.now += 10
    assert {len(batch.segments) for batch in world.batches} == {2}
    broken.clear()
    world.clock.now += 10
    world.run()
    assert world.texts() == {"a": "1/0\n1/1"}
    assert world.ledger.find(Path("/inbox/a"))[0].failures == 0


def test_audio_lost_from_the_spool_is_prepared_again_and_nobody_is_blamed(tmp_path):
    lost = [True]
    recognizer = fails_if(lambda batch: lost, errors.AudioLost("The prepared audio cannot be read."))
    world = World(tmp_path, recognizer=recognizer)
    world.drop("a", "b")
    for _ in range(20):
        world.run(10)
        world.clock.now += 31
    assert world.ledger.counts() == {State.QUEUED: 2}
    lost.clear()
    world.run()
    assert world.texts() == {"a": "1/0\n1/1", "b": "2/0\n2/1"}
    assert len(world.preparer.requests) > 4
    assert all(world.ledger.find(Path("/inbox", name))[0].failures == 0 for name in "ab")


def test_bad_input_is_noted_at_once(tmp_path):
    def refuse(job):
        raise errors.Permanent("It is a playlist.", "Drop recordings.")

    world = World(tmp_path, preparer=Inline(refuse))
    world.drop("a")
    world.run()
    assert world.ledger.counts() == {State.FAILED: 1}
    assert (world.delivered[0].reason, world.delivered[0].hint) == ("It is a playlist.", "Drop recordings.")
    assert world.ledger.pending_cleanup() == []


def test_an_unreadable_young_file_waits_before_it_is_judged(tmp_path):
    def refuse(job):
        raise errors.Incomplete("Damaged.")

    world = World(tmp_path, preparer=Inline(refuse))
    world.drop("a")
    world.run()
    assert world.ledger.counts() == {State.QUEUED: 1}
    assert "may still be incomplete" in world.ledger.deferred(9)[0].error
    world.clock.now += 51
    world.run()
    assert world.ledger.counts() == {State.FAILED: 1}


def cut_short(job):
    return replace(preparation(job.id, 2.0, damage="It ends after 2 s."), cut_short=True)


def test_a_young_recording_that_is_cut_short_waits_for_its_rest(tmp_path):
    world = World(tmp_path, preparer=Inline(cut_short))
    world.drop("a")
    world.run()
    assert world.delivered == []
    assert world.ledger.deferred(9)[0].error.endswith("It ends after 2 s.")
    world.clock.now += 51
    world.run()
    assert world.texts() == {"a": "1/0"}


def test_a_recording_that_is_cut_short_is_never_put_away(tmp_path):
    """What its sender may still have is nowhere else."""
    world = World(tmp_path, preparer=Inline(cut_short))
    world.drop("a")
    world.run()
    world.clock.now += 51
    world.run()
    world.pipeline.recover()
    world.run()
    assert len(world.delivered) == 1
    assert world.tidied == []


def test_a_recording_that_is_damaged_inside_is_put_away_like_any_other(tmp_path):
    world = World(tmp_path, preparer=Inline(lambda job: preparation(job.id, 2.0, damage="Nothing from 0:01 to 0:02.")))
    world.drop("a")
    world.run()
    assert world.tidied == ["a"]


def test_a_source_that_somebody_writes_is_put_away_later(tmp_path):
    world, looks = World(tmp_path), []
    world.delivery.put_away = lambda job: looks.append(world.clock.now) or len(looks) > 2
    world.drop("a")
    for _ in range(5):
        world.run()
        world.clock.now += 61
    assert len(looks) == 3
    assert world.ledger.pending_cleanup() == []


def test_a_share_that_is_away_delays_and_never_fails_a_file(tmp_path):
    here = []

    def prepare(job):
        if not here:
            raise errors.Unavailable("The share is gone.")
        return preparation(job.id, 2.0)

    world = World(tmp_path, preparer=Inline(prepare))
    world.drop("a")
    for _ in range(30):
        world.run(5)
        world.clock.now += 100
    assert world.ledger.counts() == {State.QUEUED: 1}
    here.append(True)
    world.run()
    assert world.ledger.counts() == {State.DONE: 1}


def test_a_file_taken_back_is_closed_without_a_note(tmp_path):
    def gone(job):
        raise errors.Withdrawn("The file was taken away before it was read.")

    world = World(tmp_path, preparer=Inline(gone))
    world.drop("a")
    world.run()
    assert world.delivered == []
    assert "taken away" in world.ledger.find(Path("/inbox/a"))[0].error


def test_a_retry_starts_a_failed_file_afresh(tmp_path):
    verdicts = [errors.Permanent("No.")]

    def prepare(job):
        if verdicts:
            raise verdicts.pop()
        return preparation(job.id, 2.0)

    world = World(tmp_path, preparer=Inline(prepare))
    world.drop("a")
    world.run()
    assert world.ledger.counts() == {State.FAILED: 1}
    world.mailbox.put(events.RetryRequested(Path("/inbox/a")))
    world.run()
    assert world.ledger.counts() == {State.DONE: 1}


def test_a_transcript_whose_name_is_taken_gives_up_its_memory_and_is_made_later(tmp_path):
    obstructed = [errors.Obstructed("A folder is in its place.")]

    def deliver(outcome):
        if obstructed:
            raise obstructed.pop()
        world.delivered.append(outcome)

    world = World(tmp_path, deliver=deliver)
    world.drop("a")
    world.run()
    assert world.pipeline.active == {}
    assert [job.error for job in world.ledger.deferred(9)] == ["A folder is in its place."]
    world.clock.now += 3601
    world.run()
    assert len(world.delivered) == 1


def test_a_file_dropped_in_again_is_transcribed_again(tmp_path):
    world = World(tmp_path)
    world.drop("a")
    world.run()
    world.drop("a")  # as after each start of the watcher: known
    world.run()
    assert len(world.delivered) == 1
    world.mailbox.put(Settled(source("a"), returned=True))
    world.run()
    assert len(world.delivered) == 2


def test_the_inbox_is_told_when_a_file_fails_and_its_note_goes_when_it_is_withdrawn(tmp_path):
    ends = [errors.Withdrawn("The folder may be entered now."), errors.Permanent("It may not be read.")]

    def prepare(job):
        raise ends.pop()

    world = World(tmp_path, preparer=Inline(prepare))
    world.drop("a")
    world.run()
    assert world.inboxes.failed == [(source("a"), world.clock())]
    assert world.delivery.notes_removed == []
    world.mailbox.put(events.RetryRequested(Path("/inbox/a")))
    world.run()
    assert world.delivery.notes_removed == ["a"]


def test_a_file_that_was_away_and_comes_back_unchanged_is_transcribed(tmp_path):
    """A share was unmounted: every file was gone, and is there again."""
    away = [True]

    def prepare(job):
        if away:
            raise errors.Withdrawn("The file was taken away before it was read.")
        return preparation(job.id, 2.0)

    world = World(tmp_path, preparer=Inline(prepare))
    world.drop("a")
    world.run()
    assert [source.name for source in world.inboxes.forgotten] == ["a"]
    assert list(world.ledger.sources(Path("/inbox"))) == []
    away.clear()
    world.drop("a")
    world.run()
    assert world.texts() == {"a": "2/0"}  # under a new number: it is the newest version again


def test_an_old_version_never_replaces_the_words_of_a_newer_one(tmp_path):
    recognizer = Manual(slots=1)
    world = World(tmp_path, lengths=(2.0,), recognizer=recognizer)
    world.drop("a")
    world.run()
    world.mailbox.put(Settled(source("a", size=2)))
    world.run()
    recognizer.futures[0].set_result(echo(recognizer.requests[0].batch))
    world.run()
    assert world.delivered == []
    recognizer.futures[1].set_result(echo(recognizer.requests[1].batch))
    world.run()
    assert [t.job.source.size for t in world.delivered] == [2]


# --- silence is not failure, and failure is not silence ----------------------------------------------


def mute(language):
    return Inline(recognizing(lambda batch: heard(*(Hypothesis("", language=language) for _ in batch.segments))))


def test_a_call_that_nobody_answers_is_an_empty_transcript_and_is_kept(tmp_path):
    """A ringing tone: a second of it is taken for speech, and no word comes, however often it is asked for."""
    world = World(tmp_path, lengths=(0.6, 0.4), recognizer=mute("en"))
    world.drop("a")
    world.run()
    assert world.texts() == {"a": ""}
    assert world.delivered[0].suspicion == "1.0 seconds sounded like speech, but no words were recognized in them."
    assert world.ledger.counts() == {State.DONE: 1}
    assert world.ledger.pending_cleanup() == []
    assert world.tidied == []


def test_speech_without_words_is_asked_again_alone_and_then_is_an_error(tmp_path):
    world = World(tmp_path, lengths=(20.0, 20.0), recognizer=mute("en"))
    world.drop("a")
    world.run()
    assert [len(batch.segments) for batch in world.batches] == [2, 1, 1]
    assert "no words were recognized" in world.delivered[0].reason
    assert world.ledger.counts() == {State.FAILED: 1}


def test_a_segment_is_asked_again_without_hints_and_the_better_answer_counts(tmp_path):
    def work(batch):
        text = "" if batch.options.hotwords else "words"
        return heard(*(Hypothesis(text, language="en") for _ in batch.segments))

    def prepared(job):
        made = preparation(job.id, 2.0)
        options = replace(made.requested.options, language="zh", hotwords=("word",))
        return replace(made, requested=replace(made.requested, options=options))

    world = World(tmp_path, recognizer=Inline(recognizing(work)), preparer=Inline(prepared, slots=9))
    world.drop("a")
    world.run()
    assert [(batch.options.language, batch.options.hotwords) for batch in world.batches] == [
        ("zh", ("word",)),
        ("auto", ()),
    ]
    assert world.texts() == {"a": "words"}


def test_what_an_earlier_run_has_heard_is_not_asked_again(tmp_path):
    def prepared(job):
        return replace(preparation(job.id, 2.0, 3.0), known={0: Hypothesis("known", language="en")})

    world = World(tmp_path, preparer=Inline(prepared, slots=9))
    world.drop("a")
    world.run()
    assert [[s.index for s in batch.segments] for batch in world.batches] == [[1]]
    assert world.texts() == {"a": "known\n1/1"}


def test_answers_are_kept_as_they_come_and_dropped_when_nobody_needs_them(tmp_path):
    world = World(tmp_path)
    world.drop("a")
    world.run()
    assert [answer.text for _, answer in world.spool.kept] == ["1/0", "1/1"]
    assert len(world.spool.dropped) == 1


def test_a_transcript_that_may_lack_words_is_delivered_and_told_of(tmp_path):
    def work(batch):
        return heard(*(Hypothesis("one", (Word("one", 0.0, 1.0, 0.9),), "en") for _ in batch.segments))

    world = World(tmp_path, lengths=(20.0, 20.0), recognizer=Inline(recognizing(work)))
    world.drop("a")
    world.run()
    assert len(world.batches) == 3  # both together, then each alone
    assert "only 2 of them have words" in world.delivered[0].suspicion
    assert [job.source.name for job in world.ledger.suspicious(9)] == ["a"]


def test_a_recognizer_that_says_it_is_no_speech_is_believed(tmp_path):
    world = World(tmp_path, recognizer=mute("nospeech"))
    world.drop("a")
    world.run()
    assert world.texts() == {"a": ""}


def test_one_segment_without_words_does_not_cost_the_others_theirs(tmp_path):
    def half(batch):
        return heard(*(Hypothesis("" if s.index == 0 else "words", language="en") for s in batch.segments))

    world = World(tmp_path, recognizer=Inline(recognizing(half)))
    world.drop("a")
    world.run()
    assert world.texts() == {"a": "words"}


# --- what is on disk before what ----------------------------------------------------------------------


class Diary(Ledger):
    """A ledger that notes when it was told to be on disk."""

    def __init__(self, path):
        super().__init__(path)
        self.notes = []

    def activate(self, *args):
        job = super().activate(*args)
        if job:
            self.notes.append("started")
        return job

    def done(self, *args, **options):
        super().done(*args, **options)
        self.notes.append("done")

    def sync(self):
        super().sync()
        self.notes.append("on disk")


def test_a_start_is_on_disk_before_the_file_is_touched(tmp_path):
    """The end is on disk before the source is touched."""
    ledger = Diary(tmp_path / "ledger.db")

    def prepare(job):
        ledger.notes.append("touched")
        return preparation(job.id, 2.0)

    world = World(tmp_path, ledger=ledger, preparer=Inline(prepare))
    world.delivery.put_away = lambda job: ledger.notes.append("put away")
    world.drop("a")
    world.run()
    assert ledger.notes == ["started", "on disk", "touched", "done", "on disk", "put away"]


def test_many_starts_and_ends_are_brought_to_disk_together(tmp_path):
    world = World(tmp_path, ledger=Diary(tmp_path / "ledger.db"))
    world.drop(*(f"{n}.wav" for n in range(50)))
    world.run()
    assert world.ledger.counts() == {State.DONE: 50}
    assert world.ledger.notes.count("on disk") < 10


def test_a_file_is_untouched_while_its_start_cannot_be_written_to_disk(tmp_path):
    class Refusing(Diary):
        refuses = True

        def sync(self):
            if self.refuses:
                raise errors.Unavailable("The ledger cannot be synced.")

    world = World(tmp_path, ledger=Refusing(tmp_path / "ledger.db"))
    world.drop("a")
    world.run()
    assert world.preparer.requests == []
    world.ledger.refuses = False
    world.clock.now += 10
    world.run()
    assert world.texts() == {"a": "1/0\n1/1"}


# --- fairness ----------------------------------------------------------------------------------------


def test_an_inbox_with_a_backlog_does_not_keep_another_waiting(tmp_path):
    inboxes = {Path("/slow"): 0, Path("/other"): 0}
    world = World(tmp_path, preparer=Manual(slots=4), priorities=inboxes)
    for n in range(100):
        world.mailbox.put(Settled(source(f"{n}.wav", inbox=Path("/slow"))))
    world.mailbox.put(Settled(source("a.wav", inbox=Path("/other"))))
    world.run()
    assert Path("/other/a.wav") in [job.source.path for job in world.preparer.requests]


def test_an_inbox_of_higher_priority_has_more_in_hand_and_not_all(tmp_path):
    inboxes = {Path("/low"): -1, Path("/high"): 1}
    world = World(tmp_path, preparer=Manual(slots=34), priorities=inboxes)
    for inbox in inboxes:
        for n in range(100):
            world.mailbox.put(Settled(source(f"{n}.wav", inbox=inbox)))
    world.run()
    inboxes = [job.source.inbox for job in world.preparer.requests]
    assert (inboxes.count(Path("/high")), inboxes.count(Path("/low"))) == (32, 2)


def test_no_more_files_are_in_progress_than_may_be(tmp_path):
    world = World(tmp_path, preparer=Manual(slots=9), max_active=2)
    world.drop("a", "b", "c", "d")
    world.run()
    assert len(world.preparer.requests) == 2
    world.preparer.futures[0].set_result(preparation(1))  # no speech: it is done
    world.run()
    assert len(world.preparer.requests) == 3


def test_no_more_is_prepared_while_very_much_waits_to_be_recognized(tmp_path):
    preparer = Inline(lambda job: preparation(job.id, *[1.0] * 24_000))
    world = World(tmp_path, preparer=preparer, recognizer=Manual(slots=0))
    world.drop(*(f"{n}.wav" for n in range(9)))
    world.run()
    assert len(world.pipeline.active) == 2


# --- delivery ----------------------------------------------------------------------------------------


def test_a_full_outbox_costs_deliveries_and_no_recognition(tmp_path):
    full, delivered = [True], []

    def deliver(outcome):
        if full:
            raise errors.Unavailable("No space left on device.")
        delivered.append(outcome)

    world = World(tmp_path, deliver=deliver)
    world.drop("a")
    for _ in range(5):
        world.run(5)
        world.clock.now += 100
    assert delivered == []
    asked = len(world.recognizer.requests)
    full.clear()
    world.run()
    assert len(delivered) == 1
    assert len(world.recognizer.requests) == asked
    assert world.ledger.counts() == {State.DONE: 1}


def test_files_for_other_outboxes_go_on_while_one_is_full(tmp_path):
    delivered = []

    def deliver(outcome):
        if outcome.job.source.name.startswith("full"):
            raise errors.Unavailable("No space left on device.")
        delivered.append(outcome.job.source.name)

    world = World(tmp_path, deliver=deliver, max_active=4)
    world.drop(*[f"full{n}" for n in range(10)], *[f"good{n}" for n in range(10)])
    world.run(100)
    assert sorted(delivered) == [f"good{n}" for n in range(10)]


def test_a_transcript_that_cannot_be_rendered_becomes_a_note_after_three_times(tmp_path):
    def deliver(outcome):
        if isinstance(outcome, Transcript):
            raise KeyError("a bug")
        delivered.append(outcome)

    delivered = []
    world = World(tmp_path, deliver=deliver)
    world.drop("a")
    for _ in range(4):
        world.run()
        world.clock.now += 100
    assert "a bug" in delivered[0].reason
    assert world.ledger.counts() == {State.FAILED: 1}


def test_what_could_not_be_put_away_is_tried_again_without_a_restart(tmp_path):
    away, tidied = [True], []

    def tidy(job):
        if away:
            raise errors.Unavailable("The share is away.")
        tidied.append(job.source.name)

    world = World(tmp_path)
    world.delivery.put_away = tidy
    world.drop("a")
    world.run()
    away.clear()
    world.run()
    assert tidied == []
    world.clock.now += 61
    world.run()
    assert tidied == ["a"]
    assert world.ledger.pending_cleanup() == []


def test_a_source_that_changed_meanwhile_loses_its_transcript_to_its_new_version(tmp_path):
    def deliver(outcome):
        raise errors.Withdrawn("The file changed.")

    world = World(tmp_path, deliver=deliver)
    world.drop("a")
    world.run()
    assert world.ledger.counts() == {State.DONE: 1}
    assert world.ledger.find(Path("/inbox/a"))[0].error == "The file changed."


# --- restart -----------------------------------------------------------------------------------------


def test_a_restart_redoes_what_was_in_hand(tmp_path):
    world = World(tmp_path, preparer=Manual())
    world.drop("a")
    world.run()
    assert world.ledger.counts() == {State.ACTIVE: 1}
    world.ledger.close()
    again = World(tmp_path)
    again.pipeline.recover()
    again.run()
    assert again.ledger.counts() == {State.DONE: 1}
    assert len(again.delivered) == 1


def test_a_recorded_source_left_behind_is_put_away_at_the_next_start(tmp_path):
    world = World(tmp_path)
    world.drop("a")
    world.run()
    world.ledger._db.execute("update job set tidied = 0")  # as a kill between the record and the tidying leaves it
    world.ledger.close()
    again = World(tmp_path)
    again.pipeline.recover()
    again.run()
    assert again.tidied == ["a"]
    assert again.ledger.pending_cleanup() == []


def test_a_late_answer_to_an_attempt_that_was_given_up_is_ignored(tmp_path):
    """It is for a segment of the same number, and of another attempt."""
    recognizer = Manual(slots=2)
    world = World(tmp_path, recognizer=recognizer)
    world.pipeline.batcher.max_segments = 1
    world.drop("a")
    world.run()
    first, second = recognizer.futures
    first.set_exception(errors.WorkerLost("died"))
    world.run()
    world.clock.now += 60
    world.run()  # the second attempt waits for both of its segments
    second.set_result(heard(Hypothesis("late")))
    world.run()
    assert world.delivered == []
    for request, future in list(zip(recognizer.requests, recognizer.futures, strict=True))[2:]:
        future.set_result(echo(request.batch))
        world.run()
    assert world.texts() == {"a": "1/0\n1/1"}


def test_a_daemon_that_stops_begins_nothing_new(tmp_path):
    world = World(tmp_path)
    world.mailbox.put(events.Stop())
    world.run(1)
    world.drop("a")
    world.run()
    assert world.preparer.requests == []
    assert world.ledger.counts() == {State.QUEUED: 1}


def test_stopping_waits_for_what_runs_and_takes_nothing_new(tmp_path):
    recognizer = Manual()
    world = World(tmp_path, recognizer=recognizer)
    world.ledger.close()

    def run():
        ledger = Ledger(tmp_path / "ledger.db")  # SQLite's connections stay in their thread
        pipeline = replace(world.pipeline, ledger=ledger)
        while not pipeline.is_stopping:
            pipeline.step()
        pipeline.finish(grace=20.0)

    thread = threading.Thread(target=run)
    world.drop("a")
    asked = threading.Event()
    world.pipeline.observers = [lambda event: asked.set() if recognizer.futures else None]
    thread.start()
    assert asked.wait(patient(10))
    world.mailbox.put(events.Stop())
    world.drop("b")
    recognizer.futures[0].set_result(echo(recognizer.requests[0].batch))
    thread.join(patient(10))
    assert not thread.is_alive()
    assert world.texts() == {"a": "1/0"} or world.texts() == {"a": "1/0\n1/1"}


# --- a ledger that refuses ---------------------------------------------------------------------------


class FullLedger(Ledger):
    """A ledger on a disk that is full whenever `full` is set."""

    full = False

    def _execute(self, sql, *values):
        if self.full:
            self.trouble = "The ledger cannot be written: database or disk is full"
            raise errors.Unavailable(self.trouble)
        return super()._execute(sql, *values)


@pytest.mark.parametrize("moment", range(8))
def test_a_full_disk_under_the_ledger_loses_nothing_and_heals_by_itself(tmp_path, moment):
    world = World(tmp_path, ledger=FullLedger(tmp_path / "ledger.db"))
    world.drop("a", "b")
    world.run(moment)
    world.ledger.full = True
    world.drop("c")
    world.run(5)
    assert "full" in world.ledger.trouble
    world.clock.now += 10
    world.run(5)
    world.ledger.full = False
    world.clock.now += 10
    world.run(60)
    assert world.ledger.trouble is None
    assert world.ledger.counts() == {State.DONE: 3}
    assert sorted(world.texts()) == ["a", "b", "c"]
    assert len(world.delivered) == 3


class Refusing(Ledger):
    """A ledger that refuses the next withdrawal when `refuse` is set."""

    refuse = False

    def withdraw(self, *args):
        if self.refuse:
            self.refuse = False
            raise errors.Unavailable("The disk is full.")
        return super().withdraw(*args)


@pytest.mark.parametrize("outdated", ["a", "b", "c"])
def test_answers_delayed_by_a_full_disk_end_every_job_once(tmp_path, outdated):
    world = World(tmp_path, recognizer=Manual(), ledger=Refusing(tmp_path / "ledger.db"), lengths=(2.0,))
    world.drop("a", "b", "c")
    world.run()
    world.mailbox.put(Settled(source(outdated, mtime_ns=99)))  # a newer version of one of them
    world.run(3)
    world.ledger.refuse = True
    for place in range(3):
        for request, future in list(zip(world.recognizer.requests, world.recognizer.futures, strict=True))[place:]:
            if not future.done():
                future.set_result(echo(request.batch))
        world.clock.now += 10
        world.run()
    assert world.pipeline.active == {}
    assert sorted(transcript.job.source.name for transcript in world.delivered) == ["a", "b", "c"]
