from django.contrib.admin import autodiscover
from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.admin.checks import check_admin_app, check_dependencies
from django.core import checks


class LimitedAdminConfig(SimpleAdminConfig):
    """The admin with our own login.

    What it shows is looked for where pages are served (`livermore/urls.py`) or checked, and not by
    each command.
    """

    default_site = "livermore.web.login.Site"

    def ready(self) -> None:
        checks.register(check_dependencies, checks.Tags.admin)
        checks.register(check_admin, checks.Tags.admin)


def check_admin(app_configs, **options):
    """Check the admin as Django does, when all of it is there."""
    autodiscover()
    return check_admin_app(app_configs, **options)
