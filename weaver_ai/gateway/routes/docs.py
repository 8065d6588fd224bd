"""The documentation of the routes, for people."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from weaver_ai.gateway.docs_page import docs_page

__all__ = ["router"]

router = APIRouter()

_NOTHING_FROM_ELSEWHERE = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"


@router.head("/docs", include_in_schema=False)
@router.get("/docs", include_in_schema=False, response_class=HTMLResponse)
async def docs(request: Request) -> HTMLResponse:
    """Every route with its fields, answers and a line to try it."""
    page = docs_page(request.app.openapi(), str(request.base_url).rstrip("/"))
    return HTMLResponse(page, headers={"content-security-policy": _NOTHING_FROM_ELSEWHERE})
