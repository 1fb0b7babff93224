from transcribed.admission import Admission


def test_on_a_cpu_the_room_is_a_fixed_number():
    assert Admission(120.0).room("cpu:0") == 120.0


def test_a_refused_batch_halves_the_ceiling_of_its_slot_alone():
    admission = Admission(120.0)
    admission.refused("cuda:0", 100.0)
    assert admission.room("cuda:0") == 50.0
    assert admission.room("cuda:1") == 120.0


def test_the_ceiling_recovers_slowly_and_never_above_what_is_configured():
    admission = Admission(120.0)
    admission.refused("cuda:0", 2.0)
    rooms = []
    for _ in range(100):
        admission.passed("cuda:0")
        rooms.append(admission.room("cuda:0"))
    assert rooms == sorted(rooms)
    assert rooms[1] < 2.0
    assert rooms[-1] == 120.0
