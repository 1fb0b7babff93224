"""Faults of the subtle kind, made by hand: each breaks a promise, and hardly shows.

A module, a text in it, and what replaces the text.  Knows nothing of how they are planted (planted_faults.py).
"""

SUBTLE = (
    # a file is not synced before it gets its name
    ("output/outbox.py", "        permissions.give_file(file.fileno())\n        os.fsync(file.fileno())\n",
     "        permissions.give_file(file.fileno())\n"),
    # the folder is not synced, so a name may be gone after a power cut
    ("output/outbox.py", "            _rename(folder, temporary[name], name, data)\n        safe_open.sync(folder)\n",
     "            _rename(folder, temporary[name], name, data)\n"),
    # a newer version that came while the disk hung is overwritten by an older one's words
    ("output/outbox.py", "        insist()\n", ""),
    # a share's "no such file" is taken for success
    ("output/outbox.py", "if error.errno == errno.ENOENT and _holds(folder, name, data):",
     "if error.errno == errno.ENOENT:"),
    # sources are touched before the ledger is on disk
    ("pipeline/source_cleanup.py", "        if self._done:\n            self._ledger.sync()\n", ""),
    # a file is touched before its start is on disk
    ("pipeline/intake.py", "        if self._taken:\n            self._ledger.sync()\n", ""),
    # halving loses a segment
    ("core/types.py", "Batch(self.options, self.segments[middle:])",
     "Batch(self.options, self.segments[middle + 1 :])"),
    # the second half of a failed batch is not tried again
    ("pipeline/pipeline.py", "self.batcher.requeue(*wanted.halves())", "self.batcher.requeue(wanted.halves()[0])"),
    # an answer that comes twice is delivered twice
    ("pipeline/pipeline.py", "if active.outcome is None and (outcome := active.result()) is not None:",
     "if (outcome := active.result()) is not None:"),
    # an answer to an abandoned attempt counts
    ("pipeline/active_job.py", "return self.waiting.get(segment.index) is segment",
     "return segment.index in self.waiting"),
    # a version is told by its size alone
    ("core/types.py", "(status.st_size, status.st_mtime_ns) == (self.size, self.mtime_ns)",
     "status.st_size == self.size"),
    # the new folder is not synced before the recording leaves the old one
    ("output/source_actions.py", "    else:\n        sync(target)\n        before_it_goes(new)\n",
     "    else:\n        before_it_goes(new)\n"),
    # a recording is moved while somebody writes it
    ("output/source_actions.py", "    if _is_written(name, folder):\n        return False\n    with", "    with"),
    # the second look is taken at once
    ("output/source_actions.py", "0 <= clock() - status.st_ctime < SECOND_LOOK_SECONDS", "False"),
    # a change that leaves size and time alone is not seen
    ("ingest/stability.py", "pending.sample not in (None, seen.sample)", "False"),
    # an orderly stop counts against a recording
    ("state/ledger.py", "return self._execute(sql, int(orderly)).rowcount", "return self._execute(sql, 0).rowcount"),
    # what is in progress is begun a second time when it is dropped in again
    ("state/ledger.py", "job.state in ('done', 'failed')\n", "job.state in ('done', 'failed', 'active')\n"),
    # a share that is mounted again looks like files dropped in again
    ("ingest/reported_files.py", "identity is not None and self._folders.get(folder) == identity",
     "folder in self._folders"),
    # channels that differ are taken for one
    ("state/spool.py", "self._alike = self._alike and all(", "self._alike = self._alike or all("),
    # answers made with other options are taken for those of a checkpoint
    ("state/checkpoint.py", "-{key(preparation.requested)}{_SUFFIX}", "{_SUFFIX}"),
    # a disk's error is a recording's fault
    ("pipeline/retry_policy.py", "return Retry(now + UNAVAILABLE_SECONDS, reason, counts_as_failure=False)",
     "return Retry(now + UNAVAILABLE_SECONDS, reason, counts_as_failure=True)"),
    # a preparing process reads on in a folder that has been replaced
    ("ingest/preparation/preparer.py", "if self._readable is not None:", "if False:"),
)  # fmt: skip
