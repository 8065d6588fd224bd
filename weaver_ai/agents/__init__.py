"""Agents and workflows on pydantic-ai."""
