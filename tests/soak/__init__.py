"""A soak: a daemon under mixed load at a constant rate, and whether anything of it grows with the files handled.

`python -m tests.soak --minutes 60`, or `make soak`.  `load` drops and removes files, `samples` measures processes and
folders, `series` arranges the samples, `statistic` decides what grows, `report` shows it.
"""
