"""An HTTP function: a WSGI application, so Flask and Django applications fit in as they are."""

from html import escape


def handler(environ, start_response):
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
    page = f"<!doctype html><title>pyfc</title><h1>{escape(path)}</h1><p>{escape(query) or 'no query'}</p>\n"
    return [page.encode()]
