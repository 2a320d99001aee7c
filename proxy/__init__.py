"""Precis: an OpenAI-compatible proxy that shortens long prompts on their way to the model."""

__version__ = "0.1.0"
