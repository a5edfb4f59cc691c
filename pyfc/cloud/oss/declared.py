"""Buckets that are folders of a project, because its pyfc.yml says so."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from pyfc import nofollow
from pyfc.cloud.oss.faults import Fault
from pyfc.cloud.oss.model import PRIVATE
from pyfc.cloud.oss.store import DECLARED, Store, home_of
from pyfc.errors import InvalidArgument, Unavailable


async def declare(store: Store, folders: Mapping[str, Path]) -> None:
    """Have these buckets, by their names, and no others that are folders of a project. What was one and is none any
    more is forgotten; its files stay. Raises InvalidArgument for the name of another bucket, Unavailable if nothing can
    be written.
    """
    try:
        await _declare(store, folders)
    except Fault as fault:
        raise Unavailable(message=f"the buckets of pyfc.yml cannot be had: {fault.message}") from fault


async def _declare(store: Store, folders: Mapping[str, Path]) -> None:
    buckets, place = store.index.buckets, store.folder / DECLARED
    for home in list(place.iterdir()) if place.is_dir() else []:
        known = buckets.get(home.name)
        if known is not None and known.folder == str(folders.get(home.name)):
            continue
        if known is not None:
            await store.delete_bucket(known, forgets=True)
        await asyncio.to_thread(nofollow.remove, home)
    for name, folder in folders.items():
        known = buckets.get(name)
        if known is None:
            home_of(store.folder, name).mkdir(mode=0o700, parents=True, exist_ok=True)
            await store.create(name, PRIVATE, folder)
        elif known.folder != str(folder):
            raise InvalidArgument(
                message=f"pyfc.yml declares the bucket '{name}', and there is one already: {known.folder}. Delete that"
                " one, or take another name"
            )
