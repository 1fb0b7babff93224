"""The command `python -m tests.tools.demo_model`: speech, training, packaging, demo recordings, figures, model card.

It knows the order of the steps and where results go; each step is a module of its own.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from tests.tools import real_sounds
from tests.tools.demo_model import corpus, evaluate, package, recordings, scenes, train, vad
from tests.tools.demo_model.words import ENGLISH, MANDARIN, write_tokenizer

REPOSITORY = Path(__file__).parents[3]
MODELS = REPOSITORY / "daemon" / "transcribed" / "recognition" / "models" / "demo"
RECORDINGS = REPOSITORY / "daemon" / "transcribed" / "cli" / "demo_recordings"
CARD = Path(__file__).with_name("model_card.md")
STEPS = ("speech", "train", "vad", "package", "recordings", "evaluate")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.tools.demo_model", description=__doc__.splitlines()[0])
    parser.add_argument("steps", nargs="*", choices=["all", *STEPS], default="all", help="default: all")
    parser.add_argument("--scratch", type=Path, default=Path("build/demo_model"), help="speech and checkpoints")
    parser.add_argument("--real-sounds", type=Path, default=Path("build/real_sounds"), help="unpacked Debian packages")
    parser.add_argument("--models", type=Path, default=MODELS, help="where the model folders go")
    parser.add_argument("--utterances", type=int, default=18000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--scenes", type=int, default=2500)
    parser.add_argument("--detector-epochs", type=int, default=8)
    parser.add_argument("--tests", type=int, default=200, help="utterances per condition of the evaluation")
    parser.add_argument("--processes", type=int, default=2)
    return parser.parse_args()


def size_row(folder: Path, name: str) -> str:
    """A row of the model card's table."""
    weights = torch.load(folder / "model.pt", weights_only=True)
    parameters = sum(tensor.numel() for tensor in weights.values())
    megabytes = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
    return f"| `{folder.name}` | {name} | {parameters / 1e6:.2f} M | {megabytes:.1f} MB |"


def write_card(options: argparse.Namespace, figures: str) -> None:
    """Fill in the model card."""
    folders = {"sensevoice": "SenseVoiceSmall", "vad": "FsmnVADStreaming"}
    rows = [size_row(options.models / folder, name) for folder, name in folders.items()]
    text = CARD.read_text().format(
        sizes="\n".join(rows),
        music=", ".join(real_sounds.TRAINING_MUSIC),
        voices=real_sounds.TRAINING_VOICES,
        english=", ".join(ENGLISH),
        mandarin="、".join(MANDARIN),
        pieces=write_tokenizer(options.scratch / "pieces.model"),
        figures=figures,
    )
    (options.models / "README.md").write_text(text)


def make_speech(options: argparse.Namespace) -> None:
    """Speech for both models; what is there already is kept."""
    corpus.make_corpus(options.scratch / "corpus", options.utterances, options.processes)
    make_scenes(options)


def make_scenes(options: argparse.Namespace) -> list[scenes.Scene]:
    """What the detector learns from."""
    folder = scenes.gather(options.scratch / "recorded", options.real_sounds)
    return scenes.make_scenes(options.scratch / "scenes.pt", folder, options.scenes, options.processes)


def train_recogniser(options: argparse.Namespace) -> None:
    """SenseVoiceSmall."""
    examples = corpus.make_corpus(options.scratch / "corpus", options.utterances, options.processes)
    pieces = write_tokenizer(options.scratch / "pieces.model")
    train.train(examples, pieces, options.epochs, options.scratch / "sensevoice.pt")


def train_detector(options: argparse.Namespace) -> None:
    """FSMN-VAD."""
    vad.train(make_scenes(options), options.detector_epochs, options.scratch / "vad.pt")


def package_models(options: argparse.Namespace) -> None:
    """Put both models in the place where they are shipped."""
    package.package(options.models, options.scratch / "sensevoice.pt", options.scratch / "vad.pt")


def main() -> None:
    """Run the steps that were asked for, in their order."""
    options = arguments()
    torch.set_num_threads(options.processes)
    options.scratch.mkdir(parents=True, exist_ok=True)
    actions = {
        "speech": lambda: make_speech(options),
        "train": lambda: train_recogniser(options),
        "vad": lambda: train_detector(options),
        "package": lambda: package_models(options),
        "recordings": lambda: recordings.make_recordings(RECORDINGS, options.models),
        "evaluate": lambda: write_card(options, evaluate.evaluate(options.models, options.tests)),
    }
    for step in STEPS:
        if "all" in options.steps or step in options.steps:
            actions[step]()


if __name__ == "__main__":
    main()
