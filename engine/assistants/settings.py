"""Who writes for us, and how it is asked: shared by whatever needs a model that follows instructions.

Names of servers stay out of keys, the assistant's identity stands for them. No torch, no network.
"""

from __future__ import annotations

from engine.remote.settings import ServerSettings
from engine.settings import StepSettings, option


class WriterSettings(StepSettings):
    """Who writes the items."""

    assistant: str = option(
        ...,
        "http(s)://HOST/v1 (any OpenAI-compatible server), 'openai', or a local model: 'demo', a folder or a hub id",
        affects_result=False,
    )
    assistant_model: str | None = option(None, "the model's name at a server", affects_result=False)
    assistant_key: str = option("OPENAI_API_KEY", "NAME of the variable that holds a server's key", affects_result=False)
    temperature: float = option(1.0, "of the assistant; 0 takes the likeliest token always", ge=0, le=2)
    max_tokens: int = option(3000, "longest reply, in tokens", ge=16)
    seed: int = option(0, "of topics, styles and draws", ge=0)


class AssistantSettings(ServerSettings, WriterSettings):
    """The writer, and how it is asked: items take longer than verdicts."""

    concurrency: int = option(16, "requests in flight at a server", affects_result=False, ge=1)
    timeout: float = option(120.0, "seconds for one try of a request", affects_result=False, gt=0)
    device_map: str | None = option(None, "'auto' spreads a local model over devices", affects_result=False)
    batch_size: int = option(16, "requests to a local model per forward pass", affects_result=False, ge=1)
