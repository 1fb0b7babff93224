"""Programs that bring recordings: for each the command that sends one fast, slowly, or again after it was cut off.

Knows command lines; nothing of when they are started or stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath

from tests.clients.installation import Upload
from tests.clients.machine import UPLOADER
from tests.clients.servers import PASSWORD, RATE, Server

FAST, SLOW, AGAIN = "fast", "slow", "again"

Command = Callable[[Server, Upload, str], list[str]]


@dataclass(frozen=True)
class Program:
    tool: str
    server: str
    command: Command
    by_fifo: bool = False  # it knows no limit of its own, so what it reads comes slowly
    private: bool = False  # what is on its way may be read by its owner alone, so who writes it cannot be seen
    spool: str = ""  # where its server keeps what has arrived, if that is not below the inbox


def _slowly(how: str, *options: str) -> list[str]:
    return [*options] if how == SLOW else []


def _again(how: str, *options: str) -> list[str]:
    return [*options] if how == AGAIN else []


# --- Samba -----------------------------------------------------------------------------------------------


def _smbclient(share: str) -> Command:
    def command(server: Server, upload: Upload, how: str) -> list[str]:
        name = rf"{upload.after}\{upload.name}"
        stream = "" if share == "plain" else f'; put /etc/hostname "{name}:Zone.Identifier"'
        where = [f"//127.0.0.1/{share}", "-N", "-p", str(server.port), "-s", f"{server.folder}/server.conf"]
        return ["smbclient", *where, "-c", f'put "{upload.source}" "{name}"{stream}']

    return command


# --- SSH -------------------------------------------------------------------------------------------------


def _ssh(server: Server) -> list[str]:
    options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
    return ["-F", "none", "-i", f"{server.folder}/client", *(f"-o{option}" for option in options)]


def _scp(protocol: str) -> Command:
    def command(server: Server, upload: Upload, how: str) -> list[str]:
        where = [str(upload.source), f"127.0.0.1:{upload.target}"]
        limit = _slowly(how, "-l", str(RATE * 8 // 1000))
        return ["scp", "-q", protocol, *_ssh(server), "-P", str(server.port), *limit, *where]

    return command


def _sftp(server: Server, upload: Upload, how: str) -> list[str]:
    script = f"{'reput' if how == AGAIN else 'put'} {upload.source} {upload.target}"
    limit = _slowly(how, "-l", str(RATE * 8 // 1000))
    options = ["-q", "-b", "-", *_ssh(server), "-P", str(server.port), *limit, "127.0.0.1"]
    return ["sh", "-c", 'echo "$0" | exec sftp "$@"', script, *options]


def _rsync(*options: str) -> Command:
    def command(server: Server, upload: Upload, how: str) -> list[str]:
        shell = " ".join(["ssh", *_ssh(server), "-p", str(server.port)])
        limit = _slowly(how, f"--bwlimit={RATE // 1024}")
        return ["rsync", "-a", *options, *limit, "-e", shell, str(upload.source), f"127.0.0.1:{upload.target}"]

    return command


def _rclone_sftp(server: Server, upload: Upload, how: str) -> list[str]:
    where = f":sftp,host=127.0.0.1,port={server.port},user={UPLOADER},key_file={server.folder}/client,shell_type=unix"
    return _rclone(upload, how, f"{where}:{upload.target}")


# --- FTP -------------------------------------------------------------------------------------------------


def _curl_ftp(user: str) -> Command:
    def command(server: Server, upload: Upload, how: str) -> list[str]:
        options = [*_slowly(how, "--limit-rate", str(RATE)), *_again(how, "-C", "-")]
        url = f"ftp://127.0.0.1:{server.port}/{upload.after}/{upload.name}"
        return ["curl", "-sS", "-u", f"{user}:{PASSWORD}", *options, "-T", str(upload.source), url]

    return command


def _lftp(user: str) -> Command:
    def command(server: Server, upload: Upload, how: str) -> list[str]:
        put = "put -c" if how == AGAIN else "put"
        opened = f"open -u {user},{PASSWORD} ftp://127.0.0.1:{server.port}"
        return _lftp_script(how, f"{opened}; {put} {upload.source} -o {upload.after}/{upload.name}")

    return command


def _lftp_script(how: str, script: str) -> list[str]:
    settings = "set ftp:ssl-allow no; set net:timeout 120; set net:max-retries 3; set pget:save-status 1s; "
    settings += f"set pget:min-chunk-size 100k; set net:limit-total-rate {RATE if how == SLOW else 0}"
    return ["lftp", "-c", f"{settings}; {script}"]


# --- WebDAV ----------------------------------------------------------------------------------------------


def _curl_webdav(prefix: str) -> Command:
    def command(server: Server, upload: Upload, how: str) -> list[str]:
        url = f"http://127.0.0.1:{server.port}/{prefix}{upload.after}/{upload.name}"
        return ["curl", "-sSf", *_slowly(how, "--limit-rate", str(RATE)), "-T", str(upload.source), url]

    return command


def _rclone_webdav(server: Server, upload: Upload, how: str) -> list[str]:
    where = f":webdav,url='http://127.0.0.1:{server.port}':{upload.after}/{upload.name}"
    return _rclone(upload, how, where)


def _rclone(upload: Upload, how: str, where: str) -> list[str]:
    return ["rclone", "copyto", *_slowly(how, f"--bwlimit={RATE}B"), str(upload.source), where]


# --- downloads -------------------------------------------------------------------------------------------


def _url(server: Server, upload: Upload, slowly: str = "") -> str:
    return f"http://127.0.0.1:{server.port}/{slowly}from/{PurePath(upload.source).name}"


def _curl(server: Server, upload: Upload, how: str) -> list[str]:
    slowly = "slowly/" if how == SLOW else ""  # its own limit begins with a burst
    return ["curl", "-sSf", *_again(how, "-C", "-"), "-o", str(upload.target), _url(server, upload, slowly)]


def _wget(server: Server, upload: Upload, how: str) -> list[str]:
    options = [*_slowly(how, f"--limit-rate={RATE}"), *_again(how, "-c")]
    return ["wget", "-q", *options, "-O", str(upload.target), _url(server, upload)]


def _aria2(server: Server, upload: Upload, how: str) -> list[str]:
    options = ["-q", "-c", "--no-conf", "--file-allocation=none", "--auto-save-interval=1"]
    limit = _slowly(how, f"--max-download-limit={RATE}")
    return ["aria2c", *options, *limit, "-d", str(upload.target.parent), "-o", upload.name, _url(server, upload)]


def _pget(server: Server, upload: Upload, how: str) -> list[str]:
    return _lftp_script(how, f"pget -c -n 2 {_url(server, upload)} -o {upload.target}")


UPLOADS = {
    "smbclient": Program("smbclient", "smbd", _smbclient("plain"), by_fifo=True),
    "smbclient, fruit and streams_xattr": Program("smbclient", "smbd", _smbclient("xattr"), by_fifo=True),
    "smbclient, fruit and streams_depot": Program("smbclient", "smbd", _smbclient("depot"), by_fifo=True),
    "scp -O": Program("scp", "sshd", _scp("-O")),
    "scp -s": Program("scp", "sshd", _scp("-s")),
    "sftp": Program("sftp", "sshd", _sftp),
    "rsync": Program("rsync", "sshd", _rsync()),
    "rsync --inplace": Program("rsync", "sshd", _rsync("--inplace"), private=True),
    "rsync --partial": Program("rsync", "sshd", _rsync("--partial")),
    "rclone sftp": Program("rclone", "sshd", _rclone_sftp),
    "curl, vsftpd": Program("curl", "vsftpd", _curl_ftp("anonymous")),
    "lftp, vsftpd": Program("lftp", "vsftpd", _lftp("anonymous")),
    "curl, proftpd": Program("curl", "proftpd", _curl_ftp(UPLOADER)),
    "lftp, proftpd": Program("lftp", "proftpd", _lftp(UPLOADER)),
    "curl, proftpd HiddenStores": Program("curl", "proftpd, HiddenStores", _curl_ftp(UPLOADER)),
    "lftp, proftpd HiddenStores": Program("lftp", "proftpd, HiddenStores", _lftp(UPLOADER)),
    "curl, nginx WebDAV": Program("curl", "nginx", _curl_webdav("to/"), spool="body"),
    "curl, rclone WebDAV": Program("curl", "rclone", _curl_webdav("")),
    "rclone webdav": Program("rclone", "rclone", _rclone_webdav),
    "curl -o": Program("curl", "nginx", _curl),
    "wget": Program("wget", "nginx", _wget),
    "aria2c": Program("aria2c", "nginx", _aria2),
    "lftp pget": Program("lftp", "nginx", _pget),
}
WITH_CONTROL_FILE = {"aria2c": ".aria2", "lftp pget": ".lftp-pget-status"}
