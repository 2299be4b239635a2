"""Runs Django's inspectdb over tables and views, and prints the models that it writes."""

import os

import django
from django.conf import settings
from django.core.management import call_command

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": os.environ["PGDATABASE"], "OPTIONS": {"options": ""}}},
    USE_TZ=True,
)
django.setup()
call_command("inspectdb", include_views=True, include_partitions=True)
