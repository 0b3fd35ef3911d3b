"""API clients in Django's admin: a token is shown once, on the page that answers."""

from django.contrib import admin
from django.template.response import TemplateResponse

from serving.models import ApiClient


@admin.register(ApiClient)
class ApiClientAdmin(admin.ModelAdmin):
    list_display = ("name", "is_active", "requests_per_second", "sockets", "last_seen_at")
    list_filter = ("is_active",)
    search_fields = ("name",)
    fields = (
        "name", "is_active", "requests_per_second", "sockets", "created_at", "last_seen_at",
    )  # fmt: skip
    readonly_fields = ("created_at", "last_seen_at")
    actions = ("give_new_tokens",)

    def save_model(self, request, obj, form, change):
        if not change:
            obj.token = obj.new_token()
        super().save_model(request, obj, form, change)

    def response_add(self, request, obj, post_url_continue=None):
        return self._show(request, [(obj, obj.token)])

    @admin.action(description="Give new tokens in place of the old ones", permissions=["change"])
    def give_new_tokens(self, request, queryset):
        shown = []
        for client in queryset:
            shown.append((client, client.new_token()))
            client.save(update_fields=["token_digest"])
            self.log_change(request, client, "Given a new token")
        return self._show(request, shown)

    def _show(self, request, tokens):
        context = {
            **self.admin_site.each_context(request),
            "title": "Tokens, shown this once",
            "opts": self.opts,
            "tokens": tokens,
        }
        response = TemplateResponse(request, "serving/tokens.html", context)
        response["Cache-Control"] = "no-store"
        return response
