"""Two instances of Syncthing: one sends recordings to three inboxes, the other one is stopped in the middle, or not.

It writes to a hidden file and renames it.  Knows as much of its configuration as keeps it on this machine.
"""

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.clients import machine
from tests.clients.installation import AFTERS
from tests.clients.sending import MIDDLE, NEARLY_ALL, Clock, check_nothing_else_was_shown, check_whole
from tests.support.site import wait_for

pytestmark = [pytest.mark.clients, pytest.mark.timeout(900)]

KIB_PER_SECOND = "1000"
OPTIONS = {
    "globalAnnounceEnabled": "false",
    "localAnnounceEnabled": "false",
    "relaysEnabled": "false",
    "natEnabled": "false",
    "startBrowser": "false",
    "urAccepted": "-1",
    "crashReportingEnabled": "false",
    "limitBandwidthInLan": "true",
    "reconnectionIntervalS": "1",
}


@dataclass
class Instance:
    """One Syncthing: its home, its folders by name, and its process."""

    home: Path
    kind: str  # of its folders: sendonly or receiveonly
    folders: dict[str, Path]
    port: int = field(default_factory=machine.free_port)
    process: machine.Process | None = None

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True)
        machine.give(self.home, machine.UPLOADER)
        machine.Process(self._command("generate", "--no-default-folder"), self._log, env=self._env).must_succeed()

    @property
    def device(self) -> str:
        return self._config().find("device").get("id")

    def pair(self, other: "Instance") -> None:
        """Write a configuration that knows only the other instance."""
        root = self._config()
        self._set(root.find("options"), OPTIONS | {"listenAddress": f"tcp://127.0.0.1:{self.port}"})
        self._set(root.find("options"), {"maxSendKbps": KIB_PER_SECOND})
        self._set(root.find("gui"), {"address": f"127.0.0.1:{machine.free_port()}"})
        device = ElementTree.SubElement(root, "device", id=other.device, name="other", compression="never")
        self._set(device, {"address": f"tcp://127.0.0.1:{other.port}"})
        for name, path in self.folders.items():
            kind = {"id": name, "path": str(path), "type": self.kind, "rescanIntervalS": "10", "fsWatcherDelayS": "1"}
            folder = ElementTree.SubElement(root, "folder", kind, fsWatcherEnabled="true")
            for id in (self.device, other.device):
                ElementTree.SubElement(folder, "device", id=id)
        ElementTree.ElementTree(root).write(self.home / "config.xml")

    def start(self) -> None:
        self.process = machine.Process(self._command("serve", "--no-browser", "--no-restart"), self._log, env=self._env)

    def _command(self, *options: str) -> list[str]:
        return machine.as_user(machine.UPLOADER, ["syncthing", *options, f"--home={self.home}"])

    def _config(self) -> ElementTree.Element:
        return ElementTree.parse(self.home / "config.xml").getroot()

    @staticmethod
    def _set(parent: ElementTree.Element, values: dict[str, str]) -> None:
        for name, value in values.items():
            found = parent.find(name)
            (ElementTree.SubElement(parent, name) if found is None else found).text = value

    @property
    def _env(self) -> dict[str, str]:
        return {"PATH": machine.PATH, "HOME": str(self.home), "STNOUPGRADE": "1"}

    @property
    def _log(self) -> Path:
        return self.home.with_suffix(".log")


@pytest.fixture(scope="module")
def pair(folder, installation):
    """A sender and a receiver that are connected."""
    machine.need("syncthing")
    ours, theirs = ({after: _made(root(after)) for after in AFTERS} for root in _roots(folder, installation))
    sender = Instance(folder / "syncthing" / "sender", "sendonly", ours)
    receiver = Instance(folder / "syncthing" / "receiver", "receiveonly", theirs)
    sender.pair(receiver)
    receiver.pair(sender)
    for instance in (sender, receiver):
        instance.start()
    yield sender, receiver
    for instance in (sender, receiver):
        instance.process.terminate()


def _roots(folder, installation):
    return (lambda after: folder / "synced" / after, lambda after: installation.inbox(after) / "synced")


def _made(path: Path) -> Path:
    path.mkdir(parents=True)
    path.chmod(0o777)
    return machine.give(path, machine.UPLOADER)


@pytest.fixture
def share(pair, installation):
    """Put a recording into each folder of the sender."""
    sender, _ = pair

    def put(way):
        uploads = [installation.upload(f"syncthing-{way}.wav", after, folder="synced") for after in AFTERS]
        for upload in uploads:
            hidden = sender.folders[upload.after] / f".syncthing.{upload.name}.tmp"
            hidden.write_bytes(upload.source.read_bytes())
            machine.give(hidden, machine.UPLOADER).rename(sender.folders[upload.after] / upload.name)
        return uploads

    return put


def test_what_syncthing_brings_is_transcribed(installation, share):
    _check(installation, share("fast"))


def test_a_sender_that_pauses_is_waited_for(installation, pair, share):
    uploads = share("paused")
    _wait_for_middle(uploads)
    pair[0].process.pause()
    assert min(upload.arrived() / upload.size for upload in uploads) < NEARLY_ALL
    installation.outlast_patience(uploads[0])
    pair[0].process.go_on()
    _check(installation, uploads)


def test_a_receiver_killed_and_started_again_brings_all(installation, pair, share):
    uploads = share("killed")
    _wait_for_middle(uploads)
    pair[1].process.kill()
    since = Clock()
    pair[1].start()
    _check(installation, uploads, halves_allowed=since.patience_is_over())


def _wait_for_middle(uploads):
    """Of any: it sends one file after the other, or all at once."""
    wait_for(lambda: max(upload.arrived() / upload.size for upload in uploads) > MIDDLE, 120, "the middle of an upload")


def _check(installation, uploads, halves_allowed=False):
    for upload in uploads:
        check_whole(installation, upload)
        if not halves_allowed:
            check_nothing_else_was_shown(installation, upload)
