from transcribed.core.troubles import CONFIGURATION, Troubles


def test_a_trouble_stands_until_its_end_is_set():
    troubles = Troubles()
    troubles.set("outbox /out", "/out cannot be written.")
    troubles.set(CONFIGURATION, "The new configuration is not used.")
    assert troubles.sentences() == ("/out cannot be written.", "The new configuration is not used.")
    troubles.set("outbox /out", "/out cannot be reached.")
    assert troubles.sentences()[0] == "/out cannot be reached."
    troubles.set("outbox /out", None)
    troubles.set("outbox /out", None)
    assert troubles.sentences() == ("The new configuration is not used.",)
    assert troubles.get(CONFIGURATION) == "The new configuration is not used."
    assert troubles.get("outbox /out") is None
