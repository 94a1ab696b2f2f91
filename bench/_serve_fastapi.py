"""The server process of FastAPI: SQLAlchemy's ORM over SQLite, under uvicorn, on uvloop.

Its one argument is a JSON object with the path of the `database` and its `durability`.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated
from uuid import uuid4

import uvicorn
import uvloop
from _orders import Work, answer, read_line
from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import JSON, Index, create_engine, event, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

BUSY_TIMEOUT = 5
"""Seconds that a connection waits for the lock for writing, as a pod's do."""


def _now() -> datetime:
    return datetime.now(UTC)


class Base(DeclarativeBase):
    """What SQLAlchemy asks for."""


class Row(Base):
    """One document, a column a property."""

    __tablename__ = "todos"
    __table_args__ = (Index("by_priority", "priority", "created_at"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: uuid4().hex)
    title: Mapped[str]
    notes: Mapped[str | None]
    done: Mapped[bool]
    priority: Mapped[float | None]
    due: Mapped[datetime | None]
    tags: Mapped[list[str] | None] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(default=_now)
    updated_at: Mapped[datetime] = mapped_column(default=_now)


class NewTodo(BaseModel):
    """What a client sends."""

    title: str
    notes: str | None = None
    done: bool = False
    priority: float | None = None
    due: datetime | None = None
    tags: list[str] | None = None


class Todo(NewTodo):
    """What it gets back."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    created_at: datetime = Field(serialization_alias="createdAt")
    updated_at: datetime = Field(serialization_alias="updatedAt")


app = FastAPI()
sessions = sessionmaker(expire_on_commit=False)


def session() -> Iterator[Session]:
    """Open a session for one request."""
    with sessions() as opened:
        yield opened


Here = Annotated[Session, Depends(session)]


@app.post("/todos", status_code=200)
def create(todo: NewTodo, there: Here) -> Todo:
    """Add a document."""
    row = Row(**todo.model_dump())
    there.add(row)
    there.commit()
    return Todo.model_validate(row)


@app.get("/todos")
def find(there: Here, priority: float | None = None, limit: int = 100) -> list[Todo]:
    """List the oldest documents, or those of a priority."""
    wanted = select(Row).order_by(Row.created_at).limit(limit)
    if priority is not None:
        wanted = wanted.where(Row.priority == priority)
    return [Todo.model_validate(row) for row in there.scalars(wanted)]


@app.get("/todos/{todo_id}")
def get(todo_id: str, there: Here) -> Todo:
    """Return one document."""
    row = there.get(Row, todo_id)
    if row is None:
        raise HTTPException(404, "There is no such document.")
    return Todo.model_validate(row)


def connect(database: str, durability: str) -> None:
    """Use a file of SQLite, set as a pod sets it, with the pool that SQLAlchemy gives."""
    engine = create_engine(
        f"sqlite:///{database}",
        connect_args={"timeout": BUSY_TIMEOUT, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def connected(connection, _) -> None:  # type: ignore[no-untyped-def]
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {durability}")

    Base.metadata.create_all(engine)
    sessions.configure(bind=engine)


async def serve() -> None:
    """Serve until stdin ends."""

    async def next_line() -> str:
        return await asyncio.to_thread(read_line)

    async def say(text: str) -> None:
        raise NotImplementedError("there are no rooms here")

    sock = socket.create_server(("127.0.0.1", 0), backlog=1024)
    config = uvicorn.Config(
        app, http="httptools", log_level="warning", access_log=False, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    answer(port=sock.getsockname()[1])
    await Work(say, next_line, asyncio.sleep).until_told_to_stop()
    server.should_exit = True
    await serving


if __name__ == "__main__":
    settings = json.loads(sys.argv[1])
    connect(settings["database"], settings["durability"])
    uvloop.run(serve())
