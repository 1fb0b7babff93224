"""Say in plain words what a file is that cannot be decoded, judging by its name and first bytes.  Decodes nothing."""

from __future__ import annotations

from pathlib import PurePath

from transcribed.core.errors import Incomplete

# First bytes of files that are no media, but are often dropped.
_DOCUMENTS = (b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"\xd0\xcf\x11\xe0", b"{\\rtf")
_ARCHIVES = (b"PK\x03\x04", b"7z\xbc\xaf", b"Rar!", b"\x1f\x8b")
_PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"[playlist]", b"v=0")
_RECORDINGS = (b"RIFF", b"RF64", b"OggS", b"fLaC", b"FORM", b"caff", b".snd", b"\x1a\x45\xdf\xa3")
_HEADERLESS = (".raw", ".pcm")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_CONTROLS = frozenset(range(32)) - frozenset(b"\t\r\n\f\x1b")


def unreadable(head: bytes, name: str, error: BaseException) -> Incomplete:
    """Describe a file that could not be decoded, by its first 512 bytes; `error` is FFmpeg's."""
    if head.lstrip()[:1] == b"<" or head.startswith(_DOCUMENTS) or head[8:12] == b"WEBP" or head[4:10] == b"ftyphe":
        return Incomplete("The file is a document or a picture, not a recording.", "Drop audio or video files only.")
    if head.startswith(_ARCHIVES) or head[257:262] == b"ustar":
        return Incomplete(
            "The file is an archive or an office document, not a recording.",
            "Unpack it, and drop the recordings themselves.",
        )
    if head.startswith(_PLAYLISTS):
        return Incomplete("The file is a playlist, not a recording.", "Drop the recordings themselves.")
    if not any(head):
        return Incomplete(
            "The file begins with zeros instead of audio.", "The copy was probably interrupted; copy the file again."
        )
    detail = str(getattr(error, "strerror", None) or error or type(error).__name__)[:100]
    if head.startswith(_RECORDINGS) or head[4:8] == b"ftyp":
        return Incomplete(
            "The recording was begun and never finished, or it is damaged.",
            f"Copy or export it again; if it plays on your own computer, convert it to WAV.  (FFmpeg: {detail})",
        )
    if is_text(head):
        return Incomplete("The file is text, not a recording.", "Drop audio or video files only.")
    if PurePath(name).suffix.casefold() in _HEADERLESS:
        return Incomplete(
            "The file has no header, and its name does not tell what sound it holds.",
            "Give it the suffix of its sound: .ulaw, .alaw, .g722, .vox; .sln or .sln16 for 16 bits at 8 or 16 kHz.",
        )
    return Incomplete(
        "The file is damaged, or not audio or video that can be decoded.",
        f"Play it on your own computer.  If it plays, convert it to WAV, FLAC or MP3.  (FFmpeg: {detail})",
    )


def is_text(head: bytes) -> bool:
    """Return whether a file that begins like this is text, in whichever encoding: sound holds what no text holds."""
    if head.startswith(_UTF16):
        return True
    if not head or not _CONTROLS.isdisjoint(head):
        return False
    ascii_share = sum(byte < 0x7F for byte in head) / len(head)
    return _decodes(head, "utf-8") or ascii_share > 0.85 or (_decodes(head, "gb18030") and b"\n" in head)


def _decodes(head: bytes, encoding: str) -> bool:
    """Return whether bytes, which may end within a character, are text in an encoding."""
    try:
        head.decode(encoding)
    except UnicodeDecodeError as error:
        return error.end >= len(head) - 3
    return True
