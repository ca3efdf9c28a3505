"""Every exception that Sillar raises on purpose.

SillarError                  has a message that says what to do
├── ConfigError              a setting that is unknown, malformed or contradictory
├── ModelError
│   ├── ModelNotFoundError   no such model in the catalogue, the cache or on disk
│   ├── ModelFormatError     a file that is not what it claims to be
│   ├── ModelUnsupportedError  a well-formed model that this engine does not run
│   └── DownloadError        a source that failed, or whose hash is wrong
├── ResourceError            memory or disk that is not there
├── RequestError             a request that cannot be served as asked (the caller's mistake)
│   ├── ContextLengthError   a prompt longer than the model's context
│   └── TemplateError        a chat template that fails or exceeds its limits
├── OverloadedError          the queue is full, or too slow: try again later
└── DocumentError            a document that cannot be read, with its reason
"""


class SillarError(Exception):
    """Base of all. `str(error)` is one sentence for a person."""


class ConfigError(SillarError):
    """A setting that is unknown, malformed or contradictory."""


class ModelError(SillarError):
    """Anything wrong with a model."""


class ModelNotFoundError(ModelError):
    """No such model in the catalogue, the cache or on disk."""


class ModelFormatError(ModelError):
    """A model file that is not what it claims to be."""


class ModelUnsupportedError(ModelError):
    """A well-formed model or option that this engine does not run."""


class DownloadError(ModelError):
    """A source that failed, or whose hash is wrong."""


class ResourceError(SillarError):
    """Memory or disk that is not there."""


class RequestError(SillarError):
    """A request that cannot be served as asked."""


class ContextLengthError(RequestError):
    """A prompt longer than the model's context."""


class TemplateError(RequestError):
    """A chat template that fails or exceeds its limits."""


class OverloadedError(SillarError):
    """The queue is full, or would take too long."""

    def __init__(self, message: str, retry_after: int = 2) -> None:
        """`retry_after`: seconds until it is worth another try."""
        super().__init__(message)
        self.retry_after = retry_after


class DocumentError(SillarError):
    """A document that cannot be read. `kind` names the sort of trouble for programs: encrypted, damaged,
    empty, too_large, limits, unsupported, needs_ocr, unreadable; of pages of the web also gone, refused.
    """

    def __init__(self, message: str, kind: str = "unreadable") -> None:
        super().__init__(message)
        self.kind = kind
