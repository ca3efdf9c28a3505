"""What one request says about function calls: which may, which must be made, and how they are written."""

from __future__ import annotations

from typing import Any

from sillar.engine.grammar import MAX_DEPTH, Grammar, depth
from sillar.server.call_finder import CallFinder
from sillar.server.chat_types import ChatRequest, NamedTool
from sillar.server.errors import ApiError
from sillar.server.tool_formats import format_of


class ToolUse:
    """The tools of one request, for one model."""

    def __init__(self, body: ChatRequest, template: str) -> None:
        """`template`: the source of the model's chat template. Raises ApiError for a contradiction."""
        choice = body.tool_choice or "auto"
        tools = body.tools or []
        if not tools and body.tool_choice not in (None, "none", "auto"):
            raise ApiError(400, "tool_choice needs tools", param="tool_choice")
        self.tools = [] if choice == "none" else tools
        self.format = format_of(template)
        # A weak model goes on calling where it may: several calls must be asked for.
        self._many = body.parallel_tool_calls is True and self.format.many and isinstance(choice, str)
        if isinstance(choice, NamedTool):
            name = choice.function.name
            self._forced = [tool for tool in tools if tool.function.name == name]
            if not self._forced:
                raise ApiError(
                    400, f"tool_choice names '{name}', which is none of the tools", param="tool_choice"
                )
        else:
            self._forced = list(tools) if choice == "required" else []
        if any(depth(tool.function.parameters) > MAX_DEPTH for tool in tools):
            raise ApiError(400, f"a schema is nested more than {MAX_DEPTH} levels deep", param="tools")

    def messages(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """As the template can lay them out."""
        return self.format.messages(messages, self.specs)

    def finder(self) -> CallFinder:
        """For one answer."""
        return CallFinder(self.format, {tool.function.name for tool in self.tools})

    @property
    def specs(self) -> list[dict[str, Any]]:
        """The tools as JSON."""
        return [tool.model_dump(exclude_none=True) for tool in self.tools]

    @property
    def for_template(self) -> list[dict[str, Any]] | None:
        """What the template is given."""
        return self.specs if self.format.native and self.tools else None

    @property
    def grammar(self) -> Grammar | None:
        """What the answer must look like, when a call is required."""
        if not self._forced:
            return None
        return self.format.grammar([tool.function.model_dump() for tool in self._forced], self._many)
