"""Turn audio dropped in folders into transcripts.  Read pipeline/pipeline.py first."""

__version__ = "0.1.0"
