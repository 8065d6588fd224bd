"""An agent of your own, with a tool. Serve it from this folder: `weaver serve own_agents:weaver`."""

from pydantic_ai import Agent

from weaver_ai.agents import Weaver

weaver = Weaver("shop")
stock = weaver.agent(Agent(name="stock", instructions="You say how many of an item are in stock."))


@stock.tool_plain
def count_stock(item: str) -> int:
    """Count how many of an item are in stock."""
    return {"lamp": 12, "chair": 3}.get(item, 0)
