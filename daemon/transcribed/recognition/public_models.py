"""List the public models that `transcribed` is made for: names on both hubs, languages, licences and known hashes.

A model has one name here, ModelScope's; FunASR's short names and Hugging Face's stand for it.  Pure: knows no disk and
no network, nor whether a model is there.

Names are FunASR's (funasr/download/name_maps_from_hub.py, 1.4.16).  The hashes of the weights were published by several
independent projects that pin these models, the same in each; none was taken from a download of our own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

FUNASR_LICENCE = "FunASR Model License 1.1 (https://github.com/modelscope/FunASR/blob/main/MODEL_LICENSE)"
APACHE = "Apache-2.0"
_RENAMED = "damo/"  # ModelScope's old name of the organization that is `iic` now


class Purpose(StrEnum):
    RECOGNIZER = "recognizer"
    DETECTOR = "speech detector"
    PUNCTUATION = "punctuation"
    SPEAKERS = "speakers"


@dataclass(frozen=True, slots=True)
class PublicModel:
    name: str  # on ModelScope
    purpose: Purpose
    credit: str  # the name and the makers, as its licence wants them named
    licence: str
    hugging_face: str | None = None  # its name there, if it is there
    short_names: tuple[str, ...] = ()  # FunASR's
    languages: tuple[str, ...] = ()
    sha256: Mapping[str, str] = field(default_factory=dict)  # of files that are publicly known


MODELS = (
    PublicModel(
        "iic/SenseVoiceSmall",
        Purpose.RECOGNIZER,
        "SenseVoiceSmall by FunAudioLLM, Alibaba",
        FUNASR_LICENCE,
        "FunAudioLLM/SenseVoiceSmall",
        languages=("zh", "yue", "en", "ja", "ko"),
        sha256={
            "model.pt": "833ca2dcfdf8ec91bd4f31cfac36d6124e0c459074d5e909aec9cabe6204a3ea",
            "config.yaml": "f71e239ba36705564b5bf2d2ffd07eece07b8e3f2bbf6d2c99d8df856339ac19",
            "am.mvn": "29b3c740a2c0cfc6b308126d31d7f265fa2be74f3bb095cd2f143ea970896ae5",
            "chn_jpn_yue_eng_ko_spectok.bpe.model": "aa87f86064c3730d799ddf7af3c04659151102cba548bce325cf06ba4da4e6a8",
        },
    ),
    PublicModel(
        "iic/speech_seaco_paraformer_large_asr_nat-zh-cn-16k-common-vocab8404-pytorch",
        Purpose.RECOGNIZER,
        "Seaco-Paraformer by FunASR, Alibaba",
        APACHE,
        short_names=("paraformer-zh",),  # that of Hugging Face, funasr/paraformer-zh, is another Paraformer
        languages=("zh", "en"),
        sha256={"model.pt": "3d491689244ec5dfbf9170ef3827c358aa10f1f20e42a7c59e15e688647946d1"},
    ),
    PublicModel(
        "iic/speech_paraformer-large_asr_nat-zh-cn-16k-common-vocab8404-pytorch",
        Purpose.RECOGNIZER,
        "Paraformer-large by FunASR, Alibaba",
        APACHE,
        short_names=("paraformer",),
        languages=("zh", "en"),
        sha256={"model.pt": "5bba782a5e9196166233b9ab12ba04cadff9ef9212b4ff6153ed9290ff679025"},
    ),
    PublicModel(
        "iic/speech_fsmn_vad_zh-cn-16k-common-pytorch",
        Purpose.DETECTOR,
        "FSMN-VAD by FunASR, Alibaba",
        APACHE,
        "funasr/fsmn-vad",
        ("fsmn-vad",),
        sha256={"model.pt": "b3be75be477f0780277f3bae0fe489f48718f585f3a6e45d7dd1fbb1a4255fc5"},
    ),
    PublicModel(
        "iic/punc_ct-transformer_cn-en-common-vocab471067-large",
        Purpose.PUNCTUATION,
        "CT-Transformer by FunASR, Alibaba",
        APACHE,
        "funasr/ct-punc",
        ("ct-punc",),
        ("zh", "en"),
        {"model.pt": "7176cae922a872e130e6b88aef9a1153581711baf79c9124c7c95be383cd6f81"},
    ),
    PublicModel(
        "iic/punc_ct-transformer_zh-cn-common-vocab272727-pytorch",
        Purpose.PUNCTUATION,
        "CT-Transformer by FunASR, Alibaba",
        APACHE,
        short_names=("ct-punc-c",),
        languages=("zh",),
        sha256={"model.pt": "a5818bb9d933805a916eebe41eb41648f7f9caad30b4bd59d56f3ca135421916"},
    ),
    PublicModel(
        "iic/speech_campplus_sv_zh-cn_16k-common",
        Purpose.SPEAKERS,
        "CAM++ by 3D-Speaker, Alibaba",
        APACHE,
        "funasr/campplus",
        ("cam++",),
        sha256={"campplus_cn_common.bin": "3388cf5fd3493c9ac9c69851d8e7a8badcfb4f3dc631020c4961371646d5ada8"},
    ),
)

DETECTOR = "iic/speech_fsmn_vad_zh-cn-16k-common-pytorch"

_BY_NAME = {name: model for model in MODELS for name in (model.name, model.hugging_face, *model.short_names) if name}


def find(name: str) -> PublicModel | None:
    """Return the model that goes by this name: ModelScope's, Hugging Face's or FunASR's."""
    return _BY_NAME.get(_current(name))


def canonical(name: str) -> str:
    """Return the one name of a model here, which is that of its folder; another name than these stays as it is."""
    found = find(name)
    return found.name if found else name


def _current(name: str) -> str:
    return f"iic/{name.removeprefix(_RENAMED)}" if name.startswith(_RENAMED) else name
