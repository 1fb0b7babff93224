"""Random transcripts: five languages, times that nobody speaks in, and what nobody would say."""

from __future__ import annotations

import random
import re
from dataclasses import replace

from tests.support.fakes import job, preparation
from transcribed.core.types import Hypothesis, Transcript, Utterance, Word
from transcribed.output.formats import Style

SENTENCES = {
    "en": "Well, I think that we should really consider the price before we decide anything. It is not only about the "
    "money, you know; it is about people (and their time) who said “no”. Is it 3.5 kg, or state-of-the-art? I don't.",
    "zh": "我们今天讨论了语音识别的准确率和用户体验的问题，因为很多用户反映在嘈杂的环境里识别效果不太好。大家有意见吗？"
    "他成为了工程师，扭了一下《红楼梦》里的AI技术（iPhone 15）。",
    "yue": "我哋今日傾咗語音識別嘅問題，大家有冇意見呀？如果冇嘅話下星期一再開會，討論具體嘅方案同時間。",
    "ja": "今日は音声認識の精度とユーザー体験について話し合いました。お客様の声が「多い」ので、一度やってみましょう！",
    "ko": "오늘 우리는 음성 인식의 정확도와 사용자 경험에 대해 논의했습니다. 의견이 많아서, 다시 학습하기로 했습니다.",
}
HOSTILE = [
    "-->", "<b>", "</v>", "&amp;", "{\\an8}", "\x00", "\x1b[31m", "\u202e", "שלום", "مرحبا،", "👨‍👩‍👧‍👦", "👍🏽", "é́́́",
    "", " ", "a\nb", "，", "。", "「", "…", '"', "W" * 70, "一" * 40, "ー" * 30, "1", "00:00:01,000 --> 00:00:02,000",
    "NOTE", "\u200b", "\u2028", "か\u3099", "\u0301", "👍", "\u200d", "[", "]", "!" * 50, "\ud800", "的",
]  # fmt: skip
EVENTS = ["laughter", "applause", "bgm", "speech", "event_unk", "cough", "speech_noise", "a_new_one"]
SPEAKERS = ["Anna", "Bob <b>", "张三", "a\nvery long name indeed, longer than a line of any language", "\x00"]


def random_case(seed):
    """A transcript and a style."""
    chance = random.Random(seed)
    style = Style(sdh=chance.random() < 0.3)
    if chance.random() < 0.3:
        style = replace(style, max_line_width=chance.choice([4, 12, 20, 60]), max_line_count=chance.choice([1, 2, 3]))
    speakers = chance.choice([[None], [None], SPEAKERS[:2], SPEAKERS])
    at, utterances = 0.0, []
    for _ in range(chance.choice([0, 1, 2, 3, 5])):
        start = max(0.0, at + chance.choice([0.0, 0.05, 0.5, 3.0, 40.0, -1.0, -8.0]))
        speaker = chance.choice(speakers)
        if start < at and speaker is not None and chance.random() < 0.9:
            speaker = chance.choice([s for s in speakers if s != utterances[-1].speaker])
        utterances.append(_utterance(chance, start, speaker))
        at = max(at, utterances[-1].stop)
    return Transcript(job(), preparation(1, 60.0), tuple(utterances)), style


def _utterance(chance, start, speaker):
    language = chance.choice([*SENTENCES])
    texts = _words(chance, language)
    words, stop = _timed(chance, start, texts)
    unspaced = language in ("zh", "yue", "ja")
    text = ("" if unspaced else " ").join(texts)
    events = tuple(chance.sample(EVENTS, chance.choice([0, 0, 0, 1, 2])))
    kind = chance.random()
    if kind < 0.15:
        words = []
    elif kind < 0.25:
        text = text.replace("e", "ee").replace("的", "的的")
    elif kind < 0.3:
        text = ""
    return Utterance(start, stop, Hypothesis(text, tuple(words), language, events=events), speaker)


def _words(chance, language):
    """A piece of a sentence, now and then with what nobody would say in it; marks are of the word before them."""
    pattern = r"\S+" if language in ("en", "ko") else r"[A-Za-z0-9]+[，。（）]*|[^\W][，。？！、」》）]*|[《「（]\w"
    known = re.findall(pattern, SENTENCES[language])
    first = chance.randrange(len(known))
    words = (known * 3)[first : first + chance.choice([1, 3, 8, 20, 40])]
    for _ in range(chance.choice([0, 0, 1, 4])):
        words.insert(chance.randrange(len(words) + 1), chance.choice(HOSTILE))
    return words


def _timed(chance, start, texts):
    pace = chance.choice([0.05, 0.1, 0.1, 0.2, 0.2, 0.3, 0.0, 9.0, 5e4])
    mean = chance.random() < 0.05
    at, words = start, []
    for text in texts:
        length = pace * min(len(text), 12) * chance.choice([0.5, 1.0, 1.5])
        begins = start + chance.random() * 10 if mean else at
        words.append(Word(text, round(begins, 3), round(begins + length * chance.choice([0.0, 0.9, 1.0]), 3), 0.9))
        at += length + chance.choice([0.0, 0.0, 0.0, 0.0, 0.4, 2.5])
    return words, round(at + 0.1, 3)
