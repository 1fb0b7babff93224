"""Name sounds in subtitles for the deaf and hard of hearing: SenseVoice's events, in its five languages.

The vocabulary of events is FunASR's (utils/postprocess_utils.py).  An unknown event is shown under its own name.
"""

from __future__ import annotations

from transcribed.core.types import Hypothesis, Utterance
from transcribed.output.layout.text_metrics import one_line

SAYS_NOTHING = frozenset({"speech", "event_unk", "gbg"})
LASTING = frozenset({"bgm", "speech_noise"})
"""Sounds that continue from one utterance to the next, and are shown only where they begin."""

_NAMES = {
    "applause": ("applause", "掌声", "掌聲", "拍手", "박수"),
    "laughter": ("laughter", "笑声", "笑聲", "笑い声", "웃음"),
    "bgm": ("music", "音乐", "音樂", "音楽", "음악"),
    "cry": ("crying", "哭声", "哭聲", "泣き声", "울음"),
    "cough": ("coughing", "咳嗽声", "咳嗽聲", "咳", "기침"),
    "sneeze": ("sneezing", "喷嚏声", "噴嚏聲", "くしゃみ", "재채기"),
    "breath": ("breathing", "呼吸声", "呼吸聲", "息", "숨소리"),
    "sing": ("singing", "歌声", "歌聲", "歌声", "노래"),
    "speech_noise": ("background voices", "嘈杂人声", "嘈雜人聲", "ざわめき", "웅성거림"),
}
_LANGUAGES = ("en", "zh", "yue", "ja", "ko")


def sounds(utterance: Utterance, before: Utterance | None, language: str | None) -> list[str]:
    """Return an utterance's events to show, as `[laughter]`; `before` is the same speaker's previous utterance."""
    known = before.hypothesis if before else Hypothesis("")
    events = (event.lower() for event in dict.fromkeys(utterance.hypothesis.events))
    told = (event for event in events if not (event in LASTING and event in known.events))
    return [f"[{name}]" for event in told if event not in SAYS_NOTHING and (name := sound_of(event, language))]


def sound_of(event: str, language: str | None) -> str:
    """Return the name of an event in a language."""
    if event not in _NAMES:
        return one_line(event.replace("_", " "))
    return _NAMES[event][_LANGUAGES.index(language) if language in _LANGUAGES else 0]
