"""What Coinbase says when it doesn't answer."""

from exchanges.sandbox.server.calls import Refusal, Reply, as_json, as_page


def bad_argument(message: str) -> Refusal:
    return Refusal(as_json({"error": "INVALID_ARGUMENT", "message": message}, 400))


def failure(status: int, retry_after: int | None, now_ms: int) -> Reply:
    """Word an HTTP status as Coinbase does; 403 and 503 come from in front of it, as pages."""
    if status in (403, 502, 503, 504):
        return as_page(f"{status} error", status)
    if status == 401:
        return Reply(b"Unauthorized", 401, {"Content-Type": "text/plain; charset=utf-8"})
    names = {429: "RESOURCE_EXHAUSTED", 451: "PERMISSION_DENIED"}
    messages = {429: "Too many requests", 451: "Service unavailable in your location"}
    content = {
        "error": names.get(status, "INTERNAL"),
        "message": messages.get(status, "Internal error"),
    }
    reply = as_json(content, status)
    if retry_after is not None:
        reply.headers["Retry-After"] = str(retry_after)
    return reply


def not_found(product_id: str) -> Refusal:
    message = f"Product {product_id} not supported"
    return Refusal(as_json({"error": "NOT_FOUND", "message": message}, 404))


def internal() -> Refusal:
    return Refusal(as_json({"error": "INTERNAL", "message": "Internal error"}, 500))
