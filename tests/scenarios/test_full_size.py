"""Models of the public sizes in the public layouts, with random weights: from a hub to transcripts, and equal to what
FunASR's AutoModel makes of the same segments.

`pytest -m slow tests/scenarios/test_full_size.py`: about ten minutes on two cores, 4 GB of disk, 8 of memory.
"""

import json
import os
import re
import shutil
import subprocess
import warnings

import av
import numpy as np
import pytest
import torch
import yaml

from tests.benchmarks import full_size
from tests.integration.recognition.models.test_paraformer import PUBLIC, at_random
from tests.support import hub
from tests.support.patience import patient
from tests.support.site import Site
from tests.support.speech import SAMPLE_RATE, save, say, silence
from tests.tools.small_models import CT_TRANSFORMER, SEACO
from transcribed.recognition.public_models import MODELS, Purpose

pytestmark = pytest.mark.slow

SENSEVOICE, PARAFORMER = (next(m for m in MODELS if word in m.name) for word in ("SenseVoice", "seaco"))
DETECTOR = next(m for m in MODELS if m.purpose is Purpose.DETECTOR)
PUNCTUATION = next(m for m in MODELS if m.purpose is Purpose.PUNCTUATION)
CHARACTERS = [chr(0x4E00 + n) for n in range(8400)]
VOCABULARY = 272_727  # of the public ct-punc
FILES, UTTERANCES_PER_FILE, COMPARED = 8, 26, 200
DISTINCT = 10  # tokens in each utterance at least: else equal answers would say little
TAG = re.compile(r"<\|[^|]*\|>")


@pytest.fixture(scope="module")
def repositories(tmp_path_factory):
    """The four models as their repositories hold them, by name on Hugging Face or ModelScope."""
    root = tmp_path_factory.mktemp("repositories")
    made = full_size.build(root / "made")
    config = yaml.safe_load((SEACO / "config.yaml").read_text())
    sizes = {name: config[name] | conf for name, conf in PUBLIC.items()}
    seaco = at_random(root / "seaco", "SeacoParaformer", CHARACTERS, std=0.3, **sizes)
    config = yaml.safe_load((seaco / "config.yaml").read_text())
    (seaco / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))  # as the public one is written
    folders = {"sensevoice": made / "sensevoice", "vad": made / "vad", "seaco": seaco, "marks": marks(root / "marks")}
    for folder in folders.values():
        (folder / "manifest.json").unlink(missing_ok=True)
        (folder / "README.md").write_text("# A model\n")
        (folder / "example").mkdir()
        (folder / "example" / "en.mp3").write_bytes(b"x" * 1000)
    return folders


def marks(folder):
    """A punctuation model with the public vocabulary's size, and weights that nothing taught."""
    shutil.copytree(CT_TRANSFORMER, folder)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["model_conf"] |= {"embed_unit": 256, "att_unit": 256}
    config["encoder_conf"] |= {"input_size": 256, "output_size": 256, "linear_units": 1024, "num_blocks": 4}
    (folder / "config.yaml").write_text(yaml.safe_dump(config, allow_unicode=True))
    tokens = ["<unk>", "<s>", "</s>", *CHARACTERS]
    tokens += [f"w{n}" for n in range(VOCABULARY - len(tokens))]
    (folder / "tokens.json").write_text(json.dumps(tokens))
    from funasr.models.ct_transformer.model import CTTransformer

    torch.manual_seed(3)
    model = CTTransformer(
        vocab_size=len(tokens), encoder=config["encoder"], encoder_conf=config["encoder_conf"], **config["model_conf"]
    )
    torch.nn.init.normal_(model.decoder.weight, std=1.0)
    torch.save(model.state_dict(), folder / "model.pt")
    return folder


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Eight recordings, of 26 utterances each, with pauses that part them."""
    rng, folder, words = (
        np.random.default_rng(6),
        tmp_path_factory.mktemp("recordings"),
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
    )
    paths = []
    for number in range(FILES):
        parts = [silence(1)]
        for _ in range(UTTERANCES_PER_FILE):
            text = " ".join(rng.choice(words, 30))
            parts += [say(text, speed=int(rng.integers(140, 180)), pitch=int(rng.integers(30, 70))), silence(3)]
        paths.append(save(folder / f"{number}.wav", np.concatenate(parts)))
    return paths


@pytest.fixture(scope="module")
def site(tmp_path_factory, repositories, recordings):
    """Two inboxes whose models were pulled, checked, examined, and have transcribed all recordings."""
    site = Site(tmp_path_factory.mktemp("site"))
    site.extra = f'models_dir = "{site.root}/models"\n[recognize]\ndevice = "cpu"\ndtype = "fp32"'
    site.configure(model="FunAudioLLM/SenseVoiceSmall", itn=False, formats=["json"])
    with site.config.open("a") as config:
        config.write(
            f'[[inbox]]\npath = "{site.root}/chinese"\noutbox = "{site.root}/written"\nquiet_seconds = 0.3\n'
            'model = "paraformer-zh"\npunctuation = "ct-punc"\nformats = ["json"]\n'
        )
    for name in ("chinese", "written"):
        (site.root / name).mkdir()
    on_hugging_face = {
        SENSEVOICE.hugging_face: repositories["sensevoice"],
        DETECTOR.hugging_face: repositories["vad"],
        PUNCTUATION.hugging_face: repositories["marks"],
    }
    with hub.serve(on_hugging_face) as (at, _), hub.serve({PARAFORMER.name: repositories["seaco"]}, True) as (also, _):
        at |= {"MODELSCOPE_ENDPOINT": also["MODELSCOPE_ENDPOINT"]}
        pulled = site.process("models", "pull", "--any-version", env=os.environ | at)
    assert pulled.returncode == 0, pulled.stderr
    shutil.rmtree(repositories["seaco"])
    return site


def test_what_was_pulled_is_found_good(site):
    assert site.call("check-config").returncode == 0
    listed = {model["name"]: model["state"] for model in json.loads(site.call("models", "list", "--json").stdout)}
    assert {listed[model.name] for model in (SENSEVOICE, PARAFORMER, DETECTOR, PUNCTUATION)} == {"here"}
    examined = json.loads(site.process("doctor", "--json").stdout)
    (files,) = (section for section in examined["sections"] if section["title"] == "Models")
    assert {finding["level"] for finding in files["findings"]} == {"ok"}
    (words,) = (section for section in examined["sections"] if section["title"] == "Words")
    assert not [finding for finding in words["findings"] if finding["level"] == "fault"], words


@pytest.fixture(scope="module")
def answers(site, recordings):
    """For each inbox, the segments: their samples, and what was recognized in them."""
    for path in recordings:
        shutil.copy(path, site.inbox)
        shutil.copy(path, site.root / "chinese")
    done = subprocess.run(site.command("run", "--once"), capture_output=True, text=True, timeout=patient(1800))
    assert done.returncode == 0, done.stderr
    return {
        outbox: [segment for path in recordings for segment in segments(site.root / outbox, path)]
        for outbox in ("outbox", "written")
    }


def segments(outbox, path):
    with av.open(str(path)) as container:
        samples = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    for found in json.loads((outbox / f"{path.name}.json").read_text())["segments"]:
        yield samples[round(found["start"] * SAMPLE_RATE) : round(found["end"] * SAMPLE_RATE)], found


def auto_model(folder):
    from funasr import AutoModel

    with warnings.catch_warnings(action="ignore"):
        model = AutoModel(model=str(folder), device="cpu", disable_update=True, disable_pbar=True, disable_log=True)
    if model.kwargs.get("frontend"):
        model.kwargs["frontend"].dither = 0.0
    return model


def of_funasr(model, samples, **options):
    found = model.generate(input=samples.astype(np.float32) / 32768, disable_pbar=True, **options)
    return found[0]["text"]


def said(text):
    """The words, without tags, which random weights do not know: FunASR leaves them out, too."""
    return TAG.sub("", text).replace("⁇", "").split()


def test_sensevoice_answers_as_funasr_does(site, answers):
    model = auto_model(site.root / "models" / SENSEVOICE.name)
    heard = answers["outbox"]
    assert len(heard) >= COMPARED  # of the others, some are fused or without a token
    theirs = [of_funasr(model, samples, language="auto", use_itn=False) for samples, _ in heard]
    assert [said(found["raw"]) for _, found in heard] == [said(text) for text in theirs]
    assert sum(len(set(said(text))) >= DISTINCT for text in theirs) >= COMPARED
    shifted = [of_funasr(model, samples[960:], language="auto", use_itn=False) for samples, _ in heard[:20]]
    assert not set(shifted) & set(theirs[:20])


def test_seaco_and_its_marks_are_those_of_funasr(site, answers):
    heard = answers["written"]
    assert len(heard) >= COMPARED  # of the others, some are fused or without a token
    model = auto_model(site.root / "models" / PARAFORMER.name)
    theirs = [of_funasr(model, samples).replace(" ", "") for samples, _ in heard]
    assert [found["raw"].replace(" ", "") for _, found in heard] == theirs
    assert min(len(set(text)) for text in theirs) >= DISTINCT
    shifted = [of_funasr(model, samples[960:]).replace(" ", "") for samples, _ in heard[:20]]
    assert not set(shifted) & set(theirs[:20])
    punctuation = auto_model(site.root / "models" / PUNCTUATION.name)
    marked = [punctuation.generate(input=text, disable_pbar=True)[0]["text"].replace(" ", "") for text in theirs]
    assert [found["text"].replace(" ", "") for _, found in heard] == marked
