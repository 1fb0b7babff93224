"""Makes the demonstration models and recordings that are shipped with the product.

One command does everything, from the repository root: `python -m tests.tools.demo_model`. It needs espeak-ng and the
packages of the development environment, and no network. It knows nothing of the product's code.
"""
