"""Chat templates: messages to the text and tokens that a model was trained on. Hostile input."""

from sillar.chat_template.encode import encode_chat
from sillar.chat_template.template import ChatTemplate

__all__ = ["ChatTemplate", "encode_chat"]
