"""How an instance is debugged: by whatever speaks the debug adapter protocol, or by PyCharm. What that needs is
imported only then. Whether it is, and when, is for the server and bootstrap.py to say.
"""

from __future__ import annotations

import time

_PORT_TIME = 5.0
"""Seconds in which an instance that is ending gives back its port."""


def wait_for_debugger(port: int) -> None:
    """Let a debugger in before anything of the user's runs. An instance that is ending may still have the port."""
    import debugpy

    end = time.monotonic() + _PORT_TIME
    while True:
        try:
            debugpy.listen(("127.0.0.1", port))
            break
        except RuntimeError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)  # nothing tells when a port of another process becomes free
    debugpy.wait_for_client()


def connect_to_pycharm(port: int) -> None:
    """To its debug server, before anything of the user's runs."""
    import pydevd_pycharm

    try:
        pydevd_pycharm.settrace("127.0.0.1", port=port, suspend=False, patch_multiprocessing=False)
    except (OSError, SystemExit) as error:
        message = f"PyCharm's debug server does not listen at 127.0.0.1:{port}: start it there, then call again"
        raise RuntimeError(message) from error


BEGIN = {"attach": wait_for_debugger, "pycharm": connect_to_pycharm}
"""By Init's way of debugging."""


def stop_where_raised(error: Exception) -> None:
    """Let the debugger stop there if it stops at uncaught exceptions: to the user this one is, though it is caught."""
    import threading

    import pydevd
    from _pydevd_bundle.pydevd_additional_thread_info import set_additional_thread_info
    from _pydevd_bundle.pydevd_breakpoints import stop_on_unhandled_exception

    debugger, thread = pydevd.get_global_debugger(), threading.current_thread()
    info = set_additional_thread_info(thread)
    info.is_tracing += 1
    try:
        stop_on_unhandled_exception(debugger, thread, info, (type(error), error, error.__traceback__))
    finally:
        info.is_tracing -= 1
