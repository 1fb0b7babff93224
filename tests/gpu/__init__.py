"""What can be shown on a card only: memory, out of memory, death, idleness, load, speed, faults of a device.

    pytest -m gpu tests/gpu -s                                    # everything; -k names a part
    python -m tests.gpu --json figures.json                       # the same as a table, and the figures as JSON
    python -m tests.gpu --part kills --part sticky --rounds 10    # some of it, or less of it
    python -m tests.gpu --device cpu:0 --rounds 2 --seconds 20    # a rehearsal: the same code, without a card

Needs an NVIDIA card with 8 GiB or more that nobody else uses meanwhile (or others' memory is taken for ours), 16 GiB of
memory, the extra "test", and espeak-ng, whose voice a model is made from.  Without a card every test is skipped.

The parts, and what they are expected to take on an H200: speed (2 minutes), idle (1), sticky (1), busy (2), memory (4),
hog (4), kills (7).  None begins anything new after 8 minutes: then it says how far it came.

The first that needs it makes a SenseVoiceSmall of full size with random weights, in a minute and a gigabyte, in the
folder that TRANSCRIBED_GPU_FOLDER names (else build/gpu), where it is found again.  There `memory.json` holds what each
batch was expected to take of the card's memory and what it took, to improve the prediction by.
"""
