import itertools

from hypothesis import given
from hypothesis import strategies as st

from transcribed.core.loudness import level
from transcribed.core.types import Hypothesis, Replacement, Utterance, Word
from transcribed.output.crosstalk import merge_channels

LOUD, LEAKED, SILENT = 20, 40, 200  # decibels below full scale


def said(speaker, text, start, step=0.5, events=()):
    """Words of 0.4 s, one after the other."""
    words = tuple(Word(w, start + n * step, start + n * step + 0.4, 0.9) for n, w in enumerate(text.split()))
    return Utterance(start, start + len(words) * step, Hypothesis(text, words, "en", events=events), speaker)


def levels(**decibels):
    return {speaker: bytes([loud] * 1000) for speaker, loud in decibels.items()}


def told(utterances):
    return [(u.speaker, u.hypothesis.text) for u in utterances]


def test_what_two_speakers_say_is_in_order_of_time():
    parts = [said("caller", "hello", 0), said("caller", "bye", 6), said("callee", "yes", 3)]
    assert told(merge_channels(parts, levels(caller=LOUD, callee=LOUD))) == [
        ("caller", "hello"),
        ("callee", "yes"),
        ("caller", "bye"),
    ]


def test_an_utterance_is_cut_where_the_other_speaks_in_its_pause():
    caller = Utterance(
        0.0,
        6.0,
        Hypothesis(
            "who is there okay",
            tuple(Word(*w, 0.9) for w in (("who", 0, 0.4), ("is", 0.5, 0.9), ("there", 1, 1.4), ("okay", 4, 4.4))),
            "en",
        ),
        "caller",
    )
    heard = merge_channels([caller, said("callee", "me of course", 2)], levels(caller=LOUD, callee=LOUD))
    assert told(heard) == [("caller", "who is there"), ("callee", "me of course"), ("caller", "okay")]
    assert [(u.start, u.stop) for u in heard] == [(0, 1.4), (2, 3.5), (4, 4.4)]


def test_each_part_of_an_utterance_tells_its_own_replacements():
    words = tuple(Word(*w, 0.9) for w in (("call", 0, 0.4), ("Achterberg", 0.5, 0.9), ("okay", 4, 4.4)))
    replaced = (Replacement("octobrug", "Achterberg"),)
    caller = Utterance(0.0, 6.0, Hypothesis("call Achterberg okay", words, "en", replacements=replaced), "caller")
    heard = merge_channels([caller, said("callee", "me of course", 2)], levels(caller=LOUD, callee=LOUD))
    assert [u.hypothesis.replacements for u in heard] == [replaced, (), ()]


def test_words_that_leaked_into_the_other_channel_are_kept_once():
    parts = [said("caller", "please call me today", 0), said("callee", "please call me today", 0.1)]
    assert told(merge_channels(parts, levels(caller=LOUD, callee=LEAKED))) == [("caller", "please call me today")]
    assert told(merge_channels(parts, levels(caller=LEAKED, callee=LOUD))) == [("callee", "please call me today")]


def test_a_leak_beside_own_words_leaves_those():
    parts = [said("caller", "please call me", 0), said("callee", "please call me yes", 0.05)]
    loud = {"caller": bytes([LOUD] * 100), "callee": bytes([LEAKED] * 15 + [LOUD] * 85)}
    assert told(merge_channels(parts, loud)) == [("caller", "please call me"), ("callee", "yes")]


def test_who_speaks_at_once_and_fainter_keeps_a_word_that_both_say():
    parts = [said("caller", "that is not what I said", 0), said("agent", "it is on the bill", 0.1)]
    assert told(merge_channels(parts, levels(caller=LOUD + 12, agent=LOUD))) == [
        ("caller", "that is not what I said"),
        ("agent", "it is on the bill"),
    ]
    both = [said("caller", "yes", 0), said("agent", "yes", 0.1)]
    assert len(merge_channels(both, levels(caller=LOUD + 12, agent=LOUD))) == 2


def test_two_who_say_the_same_as_loudly_are_both_heard():
    parts = [said("caller", "bye", 0), said("callee", "Bye!", 0.1)]
    assert len(merge_channels(parts, levels(caller=LOUD, callee=LOUD + 5))) == 2


def test_the_same_word_at_another_time_is_another_word():
    parts = [said("caller", "yes", 0), said("callee", "yes", 0.5)]
    assert len(merge_channels(parts, levels(caller=LOUD, callee=LEAKED))) == 2


def test_text_without_times_is_a_leak_as_a_whole():
    parts = [
        Utterance(0, 2, Hypothesis("please call"), "caller"),
        Utterance(0.1, 2, Hypothesis("Please call."), "callee"),
    ]
    assert told(merge_channels(parts, levels(caller=LOUD, callee=LEAKED))) == [("caller", "please call")]


def test_a_sound_without_words_stays():
    laughter = Utterance(0, 2, Hypothesis("", events=("laughter",)), "callee")
    assert merge_channels([laughter], levels(callee=LOUD)) == (laughter,)


def test_a_silent_side_is_fine():
    parts = [said("caller", "hello", 0)]
    assert told(merge_channels(parts, levels(caller=LOUD, callee=SILENT))) == [("caller", "hello")]


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", "c"]), st.text("一二xy", min_size=1, max_size=3), st.floats(0, 60)),
        max_size=15,
    )
)
def test_without_leaks_each_word_stays_once_in_its_speakers_order(drawn):
    parts = [said(who, " ".join(text), start) for who, text, start in drawn]
    out = merge_channels(parts, levels(a=LOUD, b=LOUD, c=LOUD))

    def words(utterances):
        return sorted((u.speaker, w.start, w.text) for u in utterances for w in u.hypothesis.words)

    assert words(out) == words(parts)
    assert all(a.start <= b.start for a, b in itertools.pairwise(out))


def test_loudness_is_read_between_two_moments():
    steps = bytes([LOUD] * 10 + [SILENT] * 10)
    assert level(steps, 0.0, 1.0) == -LOUD
    assert level(steps, 1.0, 2.0) == -SILENT
    assert -LOUD - 4 < level(steps, 0.5, 1.5) < -LOUD - 2  # half the time is half the power
    assert level(steps, 5.0, 6.0) < -SILENT + 1  # after the end
