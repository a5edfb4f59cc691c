"""A whole Django application."""

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="only for tests", LOGGING_CONFIG=None)
django.setup()


def home(request):
    return HttpResponse(f"<h1>Home Django</h1>{request.GET.get('name', '')}")


urlpatterns = [path("", home)]
app = get_wsgi_application()


def handler(environ, start_response):
    return app(environ, start_response)
