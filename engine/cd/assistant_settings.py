"""An assistant that a step about two models may ask: its options beside those of the models, which have the plain names.

No option here but temperature and length names artifacts: the assistant's identity stands for it in keys. No torch, no network.
"""

from __future__ import annotations

from engine.assistants.settings import AssistantSettings
from engine.remote.settings import ServerSettings
from engine.settings import option


class AskedAssistantSettings(ServerSettings):
    """Who is asked, and how."""

    assistant: str | None = option(
        None,
        "who is asked: http(s)://HOST/v1 (any OpenAI-compatible server), 'openai', or a local model: 'demo', a folder or a hub "
        "id (none: nobody, all is done offline)",
        affects_result=False,
    )
    assistant_model: str | None = option(None, "the assistant's name at a server", affects_result=False)
    assistant_key: str = option("OPENAI_API_KEY", "NAME of the variable that holds a server's key", affects_result=False)
    assistant_temperature: float = option(1.0, "of the assistant; 0 takes the likeliest token always", ge=0, le=2)
    assistant_max_tokens: int = option(500, "longest reply of the assistant, in tokens", ge=16)
    assistant_device_map: str | None = option(None, "'auto' spreads a local assistant over devices", affects_result=False)
    concurrency: int = option(16, "requests in flight at a server", affects_result=False, ge=1)
    timeout: float = option(120.0, "seconds for one try of a request", affects_result=False, gt=0)

    def assistant_settings(self) -> AssistantSettings | None:
        """What opens the assistant; None where nobody is asked."""
        if self.assistant is None:
            return None
        server = {name: getattr(self, name) for name in ServerSettings.model_fields}
        return AssistantSettings(
            assistant=self.assistant,
            assistant_model=self.assistant_model,
            assistant_key=self.assistant_key,
            temperature=self.assistant_temperature,
            max_tokens=self.assistant_max_tokens,
            device_map=self.assistant_device_map,
            **server,
        )
