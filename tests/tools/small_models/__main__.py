"""The command `python -m tests.tools.small_models`: speech, training, packaging.

It knows the order of the steps and where results go; each step is a module of its own.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from tests.support.speech import save
from tests.tools.demo_model.package import install
from tests.tools.small_models import package, punctuation, seaco, speech
from transcribed.recognition import model_store

MODELS = Path(__file__).parent
STEPS = ("tokens", "moments", "hotwords", "marks", "package")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.tools.small_models", description=__doc__.splitlines()[0])
    parser.add_argument("steps", nargs="*", choices=["all", *STEPS], default="all", help="default: all")
    parser.add_argument("--scratch", type=Path, default=Path("build/small_models"), help="speech and checkpoints")
    parser.add_argument("--models", type=Path, default=MODELS, help="where the model folders go")
    parser.add_argument("--utterances", type=int, default=6000)
    parser.add_argument("--token-epochs", type=int, default=6)
    parser.add_argument("--moment-epochs", type=int, default=5)
    parser.add_argument("--hotword-epochs", type=int, default=12)
    parser.add_argument("--mark-steps", type=int, default=1200)
    parser.add_argument("--processes", type=int, default=2)
    return parser.parse_args()


def learn(options: argparse.Namespace, stage: str, epochs: int) -> None:
    """One stage, from where the one before left off."""
    trainer = seaco.Trainer(speech.make_corpus(options.scratch / "speech", options.utterances, options.processes))
    checkpoint = options.scratch / "seaco.pt"
    if stage != "tokens":
        trainer.model.load_state_dict(torch.load(checkpoint))
    {
        "tokens": trainer.learn_tokens,
        "moments": trainer.learn_moments,
        "hotwords": trainer.learn_hotwords,
    }[stage](epochs)
    torch.save(trainer.model.state_dict(), checkpoint)


def write(options: argparse.Namespace) -> None:
    """Both folders, and the phrase by which the product checks models that have none of their own."""
    recogniser, marks = (torch.load(options.scratch / name) for name in ("seaco.pt", "marks.pt"))
    install(options.models / "seaco_paraformer", lambda folder: package.write_recogniser(folder, recogniser))
    install(options.models / "ct_transformer", lambda folder: package.write_punctuation(folder, marks))
    save(model_store.SHIPPED / "mandarin.wav", package.phrase())


def main() -> None:
    """Run the steps that were asked for, in their order."""
    options = arguments()
    torch.set_num_threads(options.processes)
    options.scratch.mkdir(parents=True, exist_ok=True)
    actions = {
        "tokens": lambda: learn(options, "tokens", options.token_epochs),
        "moments": lambda: learn(options, "moments", options.moment_epochs),
        "hotwords": lambda: learn(options, "hotwords", options.hotword_epochs),
        "marks": lambda: torch.save(punctuation.train(options.mark_steps), options.scratch / "marks.pt"),
        "package": lambda: write(options),
    }
    for step in STEPS:
        if "all" in options.steps or step in options.steps:
            actions[step]()


if __name__ == "__main__":
    main()
