from django.contrib.admin.apps import AdminConfig


class LimitedAdminConfig(AdminConfig):
    """The admin with our own login."""

    default_site = "livermore.web.login.Site"
