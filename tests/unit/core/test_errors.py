"""Errors: what they repeat of strangers is bounded and escaped, wherever they go."""

import pickle

from transcribed.core.errors import Misconfigured, Permanent


def test_what_a_stranger_wrote_is_bounded_and_escaped_in_every_sentence():
    error = Permanent("\x1b[31m is not a key" * 10_000, "Mend \u202e it." * 1000)
    for told in (str(error), error.sentence, error.hint, str(pickle.loads(pickle.dumps(error)))):
        assert len(told) <= 300
        assert told.isprintable()


def test_the_faults_of_a_configuration_keep_their_lines():
    lines = str(Misconfigured("one: a\nb: \x07\n" + "c" * 10_000)).split("\n")
    assert lines[:2] == ["one: a", "b: \\x07"]
    assert len(lines[2]) <= 2000
