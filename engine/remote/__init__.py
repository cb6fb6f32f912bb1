"""Chat completions from any OpenAI-compatible server, many at a time. Imports nothing, so that settings stay light."""
