"""`/api/v1/files`: hand files in before the task that needs them."""

from fastapi import APIRouter, Request
from starlette.datastructures import UploadFile

from app.api.caller import Writer
from app.api.problems import RESPONSES
from app.api.runtime import RuntimeOf
from app.errors import InvalidInputError
from app.schemas import FileView

router = APIRouter(prefix="/api/v1/files", tags=["files"], responses=RESPONSES)
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"file": {"type": "string", "format": "binary"}},
                    "required": ["file"],
                    "additionalProperties": False,
                }
            }
        },
    }
}


@router.post("", status_code=201, openapi_extra=_BODY)
async def upload(request: Request, runtime: RuntimeOf, caller: Writer) -> FileView:
    """Keep a file; name its id in `files` of a task."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise InvalidInputError.of("Content-Type", "expected multipart/form-data")
    async with request.form(max_files=1, max_fields=0) as form:
        for value in form.values():
            if isinstance(value, UploadFile):
                name = value.filename or ""
                row = await runtime.tasks.files.add(caller.namespace, name, value)
                return FileView(id=row.id, name=row.name, size=row.size, sha256=row.sha256)
    raise InvalidInputError.of("file", "expected a part with a file")
