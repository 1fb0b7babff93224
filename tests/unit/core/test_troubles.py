from transcribed.core.troubles import CONFIGURATION, OUTBOX, TASK, TASKS, Troubles


def test_a_trouble_stands_until_its_end_is_set():
    troubles = Troubles()
    troubles.set("outbox /out", "/out cannot be written.")
    troubles.set(CONFIGURATION, "The new configuration is not used.")
    assert troubles.sentences() == ("The new configuration is not used.", "/out cannot be written.")
    troubles.set("outbox /out", "/out cannot be reached.")
    assert troubles.sentences()[1] == "/out cannot be reached."
    troubles.set("outbox /out", None)
    troubles.set("outbox /out", None)
    assert troubles.sentences() == ("The new configuration is not used.",)
    assert troubles.get(CONFIGURATION) == "The new configuration is not used."
    assert troubles.get("outbox /out") is None


def test_the_worst_trouble_comes_first_however_late_it_came():
    troubles = Troubles()
    for name in (f"{TASK} ping", f"{OUTBOX} /b", f"{OUTBOX} /a", TASKS, CONFIGURATION):
        troubles.set(name, name)
    assert troubles.sentences() == (CONFIGURATION, TASKS, "outbox /b", "outbox /a", "task ping")
