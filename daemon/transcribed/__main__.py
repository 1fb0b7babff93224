"""`python -m transcribed`: the same as the command `transcribed`."""

from transcribed.cli.main import app

if __name__ == "__main__":
    app()
