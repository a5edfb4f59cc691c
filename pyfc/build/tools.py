"""The installers: each fills a folder with what a manifest names, to be shown at the root of the function's code.

Every one of them takes two steps, in a cage (job.py): what downloads and unpacks runs no code of packages, and has the
network and the user's settings; code of packages runs only if the user has said so, and has neither.
"""

from __future__ import annotations

from pyfc.build.job import Hear
from pyfc.build.manifest import Manifest
from pyfc.build.steps import Consent
from pyfc.build.with_go import Go
from pyfc.build.with_maven import Maven
from pyfc.build.with_npm import Npm
from pyfc.build.with_pip import Pip
from pyfc.build.workshop import Workshop


async def install(manifest: Manifest, shop: Workshop, interpreter: str, consent: Consent, progress: Hear) -> None:
    """Install what `manifest` names into the result folder of `shop`. Raises ProjectError naming the package that could
    not be had, or that runs code nobody has allowed.
    """
    if manifest.tool == "pip":
        await Pip(manifest, shop, interpreter, consent, progress).install()
    elif manifest.tool == "go":
        await Go(manifest, shop, progress).install()
    elif manifest.tool == "maven":
        await Maven(manifest, shop, consent, progress).install()
    else:
        await Npm(manifest, shop, consent, progress).install()
