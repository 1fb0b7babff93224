"""Choose the user for trying folders: the service's user if possible, otherwise the current one, with a finding.

Knows users and the unit; nothing of folders.
"""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass

from transcribed.doctor.findings import Finding, fault, note, ok, warning
from transcribed.doctor.unit_file import UnitFile
from transcribed.system.isolated_call import UserIdentity


@dataclass(frozen=True, slots=True)
class ServiceUser:
    name: str  # for sentences
    identity: UserIdentity | None  # to switch to; None: stay the current user
    finding: Finding


def of(unit: UnitFile) -> ServiceUser:
    ourselves = _name_of(os.geteuid())
    if not unit.is_installed:
        return ServiceUser(ourselves, None, note(f"{unit.name} is not installed; folders are tried as {ourselves}."))
    user = unit.text("User") or "root"
    if unit.says("DynamicUser"):
        return ServiceUser(ourselves, None, _invented(unit, ourselves))
    if os.geteuid() != 0 and user != ourselves:
        sentence = f"Folders are tried as {ourselves}, not as the service's user {user}."
        return ServiceUser(ourselves, None, note(sentence, "Run `transcribed doctor` as root."))
    try:
        identity = _identity(user, unit)
    except KeyError as error:
        sentence = f"{unit.name} runs as {user}, but {error.args[0]}; folders are tried as {ourselves}."
        fix = f"Run `useradd --system --home-dir /var/lib/transcribed {user}`, or set another in a drop-in."
        return ServiceUser(ourselves, None, fault(sentence, fix))
    if identity.uid == 0:
        fix = "Give it a user of its own, with User= and Group= in a drop-in."
        return ServiceUser(user, None, warning(f"{unit.name} runs as root, with far more rights than needed.", fix))
    return ServiceUser(user, None if user == ourselves else identity, ok(_told(identity)))


def _identity(user: str, unit: UnitFile) -> UserIdentity:
    """Return the identity that systemd would give the service.  Raise KeyError naming an unknown user or group."""
    known = _user(user)
    groups = [_group(name) for name in unit.words("SupplementaryGroups")]
    gid = _group(unit.text("Group")) if unit.text("Group") else known.pw_gid
    theirs = os.getgrouplist(known.pw_name, gid)
    return UserIdentity(known.pw_name, known.pw_uid, gid, tuple(dict.fromkeys([*theirs, *groups])))


def _user(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    except KeyError:
        raise KeyError(f"the user {name} does not exist") from None


def _group(name: str) -> int:
    try:
        return int(name) if name.isdigit() else grp.getgrnam(name).gr_gid
    except KeyError:
        raise KeyError(f"the group {name} does not exist") from None


def _told(identity: UserIdentity) -> str:
    groups = ", ".join(map(group_name, identity.groups))
    return f"Folders are tried as {identity.name}, the service's user (groups: {groups})."


def _invented(unit: UnitFile, ourselves: str) -> Finding:
    return note(
        f"{unit.name} has DynamicUser=yes: its user exists only while it runs.  Folders are tried as {ourselves}.",
        "Set a fixed user: files on shares must not belong to a recycled user ID.",
    )


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return f"gid {gid}"
