"""Servers that take uploads, on the loopback, each in a folder of its own: what they need, their configuration, a port.

Knows servers; nothing of who sends to them, or of the product.
"""

from __future__ import annotations

import pwd
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.clients import machine
from tests.clients.machine import UPLOADER
from tests.support.site import wait_for

PASSWORD = "upload"
RATE = 400_000  # bytes per second of a slow upload: half a minute of sound takes 8 s

SMB = """
[global]
server role = standalone server
smb ports = {port}
interfaces = lo
bind interfaces only = yes
disable netbios = yes
map to guest = bad user
guest account = {user}
private dir = {folder}
lock directory = {folder}
state directory = {folder}
cache directory = {folder}
pid directory = {folder}
ncalrpc dir = {folder}/ncalrpc
log file = {folder}/smbd.log
load printers = no
printing = bsd
smb2 max write = 65536
smb2 max credits = 4
"""
SHARE = """
[{name}]
path = {root}
guest ok = yes
read only = no
create mask = 0644
vfs objects = {modules}
"""
SHARES = {"plain": "", "xattr": "catia fruit streams_xattr", "depot": "catia fruit streams_depot"}

SSH = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/client.pub
StrictModes no
UsePAM no
PidFile none
MaxStartups 100
Subsystem sftp internal-sftp
"""

VSFTPD = """listen=YES
listen_address=127.0.0.1
listen_port={port}
run_as_launching_user=YES
anonymous_enable=YES
local_enable=NO
write_enable=YES
anon_upload_enable=YES
anon_other_write_enable=YES
anon_umask=022
anon_root={root}
no_anon_password=YES
seccomp_sandbox=NO
xferlog_enable=NO
background=NO
"""

PROFTPD = """
ServerName test
DefaultAddress 127.0.0.1
DefaultServer on
Port {port}
User {user}
Group {user}
UseReverseDNS off
WtmpLog off
PidFile {folder}/pid
ScoreboardFile {folder}/score
AuthOrder mod_auth_file.c
AuthUserFile {folder}/passwd
RequireValidShell off
AllowOverwrite on
AllowStoreRestart on
HiddenStores {hidden}
TransferLog none
Umask 022
"""

NGINX = """
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
  access_log off;
  client_max_body_size 0;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location /to/ {{ alias {root}/; dav_methods PUT; dav_access user:rw group:r all:r; }}
    location /from/ {{ alias {sources}/; }}
    location /slowly/from/ {{ alias {sources}/; limit_rate {rate}; }}
  }}
}}
"""


@dataclass(frozen=True)
class Server:
    """A server in the making, and then running: its own folder, and the folder `root` below which uploads arrive."""

    folder: Path
    root: Path
    sources: Path
    port: int

    def write(self, text: str, **more: str) -> str:
        """Write its configuration, and return the path."""
        path = self.folder / "server.conf"
        fields = {"port": self.port, "user": UPLOADER, "folder": self.folder, "root": self.root}
        path.write_text(text.format(**fields, sources=self.sources, rate=RATE, **more))
        return str(machine.give(path, UPLOADER))


def _smbd(server: Server) -> list[str]:
    shares = "".join(SHARE.format(name=name, root=server.root, modules=SHARES[name]) for name in SHARES)
    return ["smbd", "-F", "--no-process-group", "-s", server.write(SMB + shares)]  # as root: it becomes the guest


def _sshd(server: Server) -> list[str]:
    for name in ("host", "client"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", server.folder / name], check=True)
        machine.give(server.folder / name, UPLOADER)
    path = subprocess.run(["which", "sshd"], env={"PATH": machine.PATH}, capture_output=True, text=True, check=True)
    return machine.as_user(UPLOADER, [path.stdout.strip(), "-D", "-e", "-f", server.write(SSH)])


def _vsftpd(server: Server) -> list[str]:
    return machine.as_user(UPLOADER, ["vsftpd", server.write(VSFTPD)])


def _proftpd(server: Server, hidden: str = "off") -> list[str]:
    hashed = subprocess.run(["openssl", "passwd", "-6", PASSWORD], capture_output=True, text=True, check=True)
    user, path = pwd.getpwnam(UPLOADER), server.folder / "passwd"
    path.write_text(f"{UPLOADER}:{hashed.stdout.strip()}:{user.pw_uid}:{user.pw_gid}::{server.root}:/bin/sh\n")
    machine.give(path, UPLOADER).chmod(0o600)
    return machine.as_user(UPLOADER, ["proftpd", "-n", "-c", server.write(PROFTPD, hidden=hidden)])


def _hiding_proftpd(server: Server) -> list[str]:
    return _proftpd(server, "on")


def _nginx(server: Server) -> list[str]:
    return machine.as_user(UPLOADER, ["nginx", "-c", server.write(NGINX)])


def _rclone(server: Server) -> list[str]:
    address = f"127.0.0.1:{server.port}"
    return machine.as_user(UPLOADER, ["rclone", "serve", "webdav", str(server.root), "--addr", address])


COMMANDS: dict[str, Callable[[Server], list[str]]] = {
    "smbd": _smbd,
    "sshd": _sshd,
    "vsftpd": _vsftpd,
    "proftpd": _proftpd,
    "proftpd, HiddenStores": _hiding_proftpd,
    "nginx": _nginx,
    "rclone": _rclone,
}


class Servers:
    """The servers that were asked for; each is started once."""

    def __init__(self, folder: Path, root: Path, sources: Path) -> None:
        self._folder, self._root, self._sources = folder, root, sources
        self._running: dict[str, tuple[Server, machine.Process]] = {}

    def get(self, name: str) -> Server:
        """Return the running server; skip the test if it is not installed."""
        machine.need(name.partition(",")[0])
        if name not in self._running:
            folder = self._folder / name.replace(", ", "-")
            folder.mkdir(parents=True)
            machine.give(folder, UPLOADER)
            server = Server(folder, self._root, self._sources, machine.free_port())
            environment = {"PATH": machine.PATH, "HOME": str(folder)}
            process = machine.Process(COMMANDS[name](server), folder / "log", env=environment)
            self._running[name] = server, process
            wait_for(lambda: machine.listens(server.port), 30, f"the start of {name}")
        return self._running[name][0]

    def stop(self) -> None:
        for _, process in self._running.values():
            process.terminate()
