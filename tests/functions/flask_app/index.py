"""A whole Flask application."""

from flask import Flask, request

app = Flask(__name__)


@app.route("/hello/<name>", methods=["GET", "POST"])
def hello(name):
    return {"name": name, "query": request.args.get("q"), "form": request.form.to_dict()}


def handler(environ, start_response):
    return app(environ, start_response)
