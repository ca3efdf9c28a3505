"""Chat templates: messages to the text and tokens that a model was trained on. Hostile input."""

from .encode import encode_chat
from .template import ChatTemplate

__all__ = ["ChatTemplate", "encode_chat"]
