"""Provide a page's own texts and its names of languages, emotions and events, in English and in Chinese.

The names of emotions are SenseVoice's; those of events are in sound_events.py.  An unknown name is shown unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from transcribed.output.layout.sound_events import sound_of

Labels = Mapping[str, str]
Names = Callable[[str], str]
_CHINESE_SPOKEN = ("zh", "yue")

_ENGLISH = {
    "lang": "en",
    "title": "Transcript of {}",
    "date": "Date",
    "duration": "Length",
    "languages": "Language",
    "model": "Model",
    "file": "File",
    "media": "Format",
    "credit": "Models and their licences",
    "words": "Words",
    "about": "About this recording",
    "timeline": "Timeline",
    "transcript": "Transcript",
    "speech": "Speech",
    "unsure": "Underline uncertain words ({})",
    "nothing": "No speech was detected in this recording of {} seconds.",
    "gone": "The recording cannot be played: it was not kept with its transcript.",
    "mute": "The recording cannot be played here.  It was moved, or this browser does not support its format ({}).  "
    "Reading and searching still work.",
    "open": "Open the recording with another program",
    "play": "Play",
    "pause": "Pause",
    "position": "Position",
    "speed": "Speed",
    "search": "Search",
    "none": "no hits",
    "theme": "Light or dark",
    "back": "Back to what is playing",
    "keys": "Click a word to hear it.  Space plays and pauses, ← and → skip 5 seconds, / searches, Enter goes to the "
    "next hit.  Each time is a link to its place.",
    "made": "Made by {}.",
}

_ENGLISH_NAMES = {
    "zh": "Mandarin",
    "yue": "Cantonese",
    "en": "English",
    "ja": "Japanese",
    "ko": "Korean",
    "gbg": "noise",
}

_CHINESE = {
    "lang": "zh-CN",
    "title": "{} 的文字记录",
    "date": "日期",
    "duration": "时长",
    "languages": "语言",
    "model": "模型",
    "file": "文件",
    "media": "格式",
    "credit": "模型及其许可",
    "words": "词数",
    "about": "关于这段录音",
    "timeline": "时间线",
    "transcript": "文字记录",
    "speech": "语音",
    "unsure": "用下划线标出不太确定的词（{}）",
    "nothing": "在这段 {} 秒的录音中没有听到语音。",
    "gone": "录音没有与文字记录一同保留，因此无法播放。",
    "mute": "无法在此播放录音：录音已被移走，或浏览器不支持其格式（{}）。阅读和搜索不受影响。",
    "open": "用其他程序打开录音",
    "play": "播放",
    "pause": "暂停",
    "position": "位置",
    "speed": "速度",
    "search": "搜索",
    "none": "没有找到",
    "theme": "浅色或深色",
    "back": "回到正在播放处",
    "keys": "点击词语即可收听。空格键播放或暂停，← → 跳转 5 秒，/ 搜索，Enter 跳到下一处。时间是指向该处的链接。",
    "made": "由 {} 制作。",
}

_CHINESE_NAMES = {
    "zh": "普通话",
    "yue": "粤语",
    "en": "英语",
    "ja": "日语",
    "ko": "韩语",
    "happy": "高兴",
    "sad": "悲伤",
    "angry": "生气",
    "fearful": "害怕",
    "disgusted": "厌恶",
    "surprised": "惊讶",
    "gbg": "杂音",
}


def labels(language: str | None) -> Labels:
    """Return Chinese texts for recordings in Mandarin or Cantonese, English ones for all others."""
    return _CHINESE if language in _CHINESE_SPOKEN else _ENGLISH


def names(language: str | None) -> Names:
    """Return a function that names a language, an emotion or an event on such a page."""
    known = _CHINESE_NAMES if language in _CHINESE_SPOKEN else _ENGLISH_NAMES
    return lambda name: known.get(name) or sound_of(name, language)


def tag(language: str | None) -> str:
    """Return the BCP 47 tag by which a browser selects fonts; empty if the language is unknown."""
    return {"zh": "zh-CN", "yue": "zh-HK", "en": "en", "ja": "ja", "ko": "ko"}.get(language or "", "")
