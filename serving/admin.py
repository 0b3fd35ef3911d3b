"""API clients in Django's admin: a token is shown once, on the page that answers."""

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.template.response import TemplateResponse
from django.utils.formats import date_format
from django.utils.timezone import localtime

from serving.models import ApiClient

GIVE_NEW = "_new_token"  # the button's name


class ApiClientForm(forms.ModelForm):
    class Meta:
        model = ApiClient
        fields = ("name", "is_active", "requests_per_second", "sockets")
        help_texts = {
            "name": "The program or person that reads; the Network page shows it.",
            "is_active": "Without it the token lets nobody in, within seconds of being saved.",
        }
        error_messages = {
            "name": {
                "required": "Give it a name.",
                "unique": "There is an API client of this name already.",
            }
        }

    def clean_name(self):
        name = self.cleaned_data["name"]
        if not name.isprintable():
            raise ValidationError("A name holds only characters that can be seen.")
        return name


@admin.register(ApiClient)
class ApiClientAdmin(admin.ModelAdmin):
    form = ApiClientForm
    change_form_template = "serving/change_form.html"
    list_display = ("name", "is_active", "requests_per_second", "sockets", "seen")
    list_filter = ("is_active",)
    search_fields = ("name",)
    fields = ("name", "is_active", "requests_per_second", "sockets", "seen", "created_at")
    readonly_fields = ("seen", "created_at")
    actions = ("give_new_tokens",)

    @admin.display(description="last seen", ordering="last_seen_at")
    def seen(self, client):
        at = client.last_seen_at
        return date_format(localtime(at), "DATETIME_FORMAT") if at else "never"

    def get_fields(self, request, obj=None):
        return self.fields if obj else self.form.Meta.fields

    def render_change_form(self, request, context, add=False, **values):
        if add:  # whatever follows, the token comes first
            context |= {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().render_change_form(request, context, add=add, **values)

    def save_model(self, request, obj, form, change):
        if not change or GIVE_NEW in request.POST:
            obj.token = obj.new_token()
        super().save_model(request, obj, form, change)

    def construct_change_message(self, request, form, formsets, add=False):
        said = super().construct_change_message(request, form, formsets, add)
        given = GIVE_NEW in request.POST and not add
        return [*said, {"changed": {"fields": ["token"]}}] if given else said

    def response_add(self, request, obj, post_url_continue=None):
        return self._show(request, [(obj, obj.token)])

    def response_change(self, request, obj):
        if GIVE_NEW in request.POST:
            return self._show(request, [(obj, obj.token)])
        return super().response_change(request, obj)

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
            "title": f"The {'token' if len(tokens) == 1 else 'tokens'}, shown this once",
            "opts": self.opts,
            "tokens": tokens,
        }
        response = TemplateResponse(request, "serving/tokens.html", context)
        response["Cache-Control"] = "no-store"
        return response
