"""Model providers in memory: OpenAI's and Anthropic's dialects behind real HTTP clients.

`answers` is what a model says, `openai_*` and `anthropic` are how it stands on the wire, `reply` is
the wire itself, `call` is a request as it was understood, `provider` queues and records, `routers`
puts it below httpx and httpx2. Everything up to `reply` is pure: a real server can send it as well.
"""
